"""Exports a model file as C99 for microcontrollers: the native engine's kernels with the model's plan.

A folder of source files comes out, which any C compiler builds, Arduino's and PlatformIO's too. The
files in templates/ are what is written, with names in place of @name@.
"""
