"""An engine in numpy, for machines on which neither native nor a TFLite engine runs.

It runs the operators that `edge-rnn convert` writes, and is the specification of a quantized file: int8
and int16 follow TFLite's reference kernels bit for bit. The converter calibrates and explains with it.
"""
