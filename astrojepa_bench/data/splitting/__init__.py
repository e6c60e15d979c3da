"""Which galaxies train, validate and test, and which must never be in two splits."""
