"""Which galaxies train, choose and report, and which must never meet."""
