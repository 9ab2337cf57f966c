"""Rows from sensors: sources, listeners, reconnection."""
