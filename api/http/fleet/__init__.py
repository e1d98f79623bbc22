"""What answers show of chargers: their rows in lists, their numbers, and what the requester may do."""
