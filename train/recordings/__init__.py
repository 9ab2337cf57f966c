"""Recordings as people have them: readers of folders, tables, .ts and JSON, and what they all return."""
