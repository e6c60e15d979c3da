"""From records to a leaderboard."""
