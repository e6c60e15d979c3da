"""From a request to records: the grid of runs, one run, and its scores."""
