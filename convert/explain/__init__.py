"""Where a quantized graph loses accuracy, by time step and gate."""
