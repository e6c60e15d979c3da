"""The Python face: what `import astrojepa_bench as ab` offers, one module a subject."""
