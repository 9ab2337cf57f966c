"""Programs that write or check the project's tables. They run as modules: `python -m scripts.NAME`."""
