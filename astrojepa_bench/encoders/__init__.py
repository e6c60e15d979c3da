"""Encoders: the token ViT, any model of timm, and the floors of the board."""
