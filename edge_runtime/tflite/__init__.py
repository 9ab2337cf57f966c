"""The TFLite format for both sides: graphs, the FlatBuffer reader, affine quantization."""
