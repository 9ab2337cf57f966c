"""Precisions, the engines that a file is made for, and what each engine computes correctly."""
