"""A Network to a Graph, float or quantized."""
