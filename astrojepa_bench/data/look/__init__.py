"""Ways to look at a dataset: its card and its contact sheet."""
