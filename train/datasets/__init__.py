"""Data sets by name or path, as windows in splits."""
