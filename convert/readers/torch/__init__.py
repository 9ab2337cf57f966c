"""PyTorch state dicts to a Network."""
