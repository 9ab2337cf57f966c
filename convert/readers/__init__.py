"""Readers of trained models, each to a SourceModel."""
