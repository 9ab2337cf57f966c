"""Files and text to windows."""
