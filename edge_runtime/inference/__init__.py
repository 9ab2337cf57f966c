"""Windows and rows to predictions."""
