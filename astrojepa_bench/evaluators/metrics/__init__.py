"""Formulas that turn predictions into numbers."""
