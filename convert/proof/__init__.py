"""The parity proof: every engine against the full model."""
