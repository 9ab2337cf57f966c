"""Evidence: a measured comparison of model files with their full model, kept as a record and as files.

`edge-rnn parity` and the pytest plugin show it. `prove_parity` makes it, record.py says what it holds.
"""
