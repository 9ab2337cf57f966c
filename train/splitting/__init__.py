"""Which windows train, which validate and which test."""
