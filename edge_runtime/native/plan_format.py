"""The numbers and structures of a plan, as c/edge_rnn.h defines them."""

from __future__ import annotations

import struct
from enum import IntEnum

MAGIC = 0x324E5245
ALIGNMENT = 64
SLACK = 64
CONSTANT = 0x80000000
"""Bit of an operand that is an offset into the plan."""


class Layout(IntEnum):
    """How weights are stored."""

    ROWS = 0
    BLOCKS = 1
    BLOCKS_UNSIGNED = 2


class Kernel(IntEnum):
    """The kernels, in the order of er_number."""

    COPY = 0
    LOOKUP_S8 = 1
    ADD_S8 = 2
    MUL_S8 = 3
    ADD_S16 = 4
    MUL_S16 = 5
    RESCALE_S16 = 6
    SIGMOID_S16 = 7
    TANH_S16 = 8
    QUANTIZE_S8 = 9
    QUANTIZE_S16 = 10
    DEQUANTIZE_S8 = 11
    DEQUANTIZE_S16 = 12
    ADD_F32 = 13
    SUB_F32 = 14
    MUL_F32 = 15
    SQUARED_DIFFERENCE_F32 = 16
    MINIMUM_F32 = 17
    SIGMOID_F32 = 18
    TANH_F32 = 19
    RELU_F32 = 20
    ELU_F32 = 21
    RSQRT_F32 = 22
    SOFTMAX_F32 = 23
    MEAN_F32 = 24
    MAX_S8 = 25
    MAX_S16 = 26
    MAX_F32 = 27
    GATHER = 28
    MATMUL_S8 = 29
    MATMUL_S16 = 30
    MATMUL_F32 = 31
    MATMUL_HYBRID = 32


END_TYPES = {"f": 0, "b": 1, "h": 2, "i": 3}
"""numpy's dtype.char of an input or output -> er_type."""

PLAN_HEADER = struct.Struct("<16I")
PLAN_CALL = struct.Struct("<5I")
PLAN_END = struct.Struct("<3Ifi")
MAP_PARAMS = struct.Struct("<8I11if")
REDUCTION_PARAMS = struct.Struct("<6I")
GATHER_PARAMS = struct.Struct("<6I")
MATMUL_PARAMS = struct.Struct("<9I3iI")


def aligned(size: int, alignment: int = ALIGNMENT) -> int:
    """`size` rounded up to a multiple of `alignment`."""
    return -(-size // alignment) * alignment
