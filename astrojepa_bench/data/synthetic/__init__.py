"""Simulated galaxies with known truth: population, profiles, scene, survey."""
