"""Files and text to windows."""

STANDARD_INPUT = "-"
"""How the command line names standard input."""
