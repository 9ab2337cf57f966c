"""This machine and this process: child processes, files, optional packages."""
