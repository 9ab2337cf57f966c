"""Engines: which one runs a model, and how it is opened."""
