"""What pip can install on a system, and the commands for it."""
