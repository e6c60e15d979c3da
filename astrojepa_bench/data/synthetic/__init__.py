"""Simulated galaxies with known truth: population, profiles, recipes, scene, survey, cache, dataset.

This file stays empty: the processes that draw galaxies import this package and need no torch.
"""
