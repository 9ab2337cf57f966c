"""ONNX models to a Network."""
