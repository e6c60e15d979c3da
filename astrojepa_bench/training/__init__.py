"""One training loop for every objective: budgets, schedule, checkpoints, the loop itself."""
