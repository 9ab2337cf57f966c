"""One training on several machines: who takes part, and how each learns that one is gone."""
