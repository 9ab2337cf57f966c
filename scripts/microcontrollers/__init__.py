"""Microcontrollers that qemu emulates: boards, compilers, and programs run on them.

The exported C of a model runs here as it runs on the real thing: without an operating system and from
flash, on Cortex-M and RISC-V. Nothing is installed, and root is not needed.
"""
