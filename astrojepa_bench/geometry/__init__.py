"""Where things lie on an image: patch grids, blocks, the sky, augmented views."""
