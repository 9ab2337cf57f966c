"""Fixed-point rescaling for the kernels here: that of edge_runtime.fixed_point, which train uses, too."""

from edge_runtime.fixed_point import Multiplier, rescale

__all__ = ["Multiplier", "rescale"]
