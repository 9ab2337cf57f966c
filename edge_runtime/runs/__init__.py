"""Files that train and convert exchange: run directories and graph records."""
