"""What a run leaves behind: identity, record, store."""
