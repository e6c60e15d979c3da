"""Evaluators: one file each; what a frozen representation is good for."""
