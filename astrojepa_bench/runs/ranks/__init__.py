"""One training on several processes: the first one runs the command, the others train with it."""
