"""Programs that print the figures in the documents. They run as modules: `python -m benchmarks.NAME`."""
