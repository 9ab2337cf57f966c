"""Keras models to a Network."""
