"""The native engine: plans a model in Python, runs the plan in C.

planner.py turns a graph into a plan, c/ runs plans (c/edge_rnn.h explains them), library.py finds the
compiled library, interpreter.py puts them together. The same plan and the same C go into
microcontrollers.
"""
