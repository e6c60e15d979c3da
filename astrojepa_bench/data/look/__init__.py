"""Ways to look at a data set: its card and its contact sheet."""
