"""Encoders: the token ViT and the floors of the board."""
