"""Formats and rounding of weights."""
