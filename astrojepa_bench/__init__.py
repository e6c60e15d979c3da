"""Which self-supervised objective, with which masking, learns the best representation of galaxies?"""

__version__ = "0.1.0"
