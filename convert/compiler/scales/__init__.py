"""Scales and zero points of activations."""
