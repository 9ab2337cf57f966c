"""Fixed-point rescaling, by its old name: it moved to where train can use it, too."""

from edge_runtime.fixed_point import Multiplier, rescale

__all__ = ["Multiplier", "rescale"]
