"""Plugins that `astrojepa-bench new` copies: whole, checked like any other, and called `template`."""
