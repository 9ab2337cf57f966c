"""What a model file carries besides the graph: metadata, normalization, probes, the proof."""
