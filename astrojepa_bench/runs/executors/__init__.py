"""Where a cell runs: in this process, which is put back as it was after it, or in one of its own."""
