"""From a trained encoder to scores: extract, extras, store, score, collapse."""
