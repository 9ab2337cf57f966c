"""A Network to a float32 Graph, unrolled or one step."""
