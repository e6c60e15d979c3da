"""The published Galaxy10 files: fetched, verified, and read for what they are."""
