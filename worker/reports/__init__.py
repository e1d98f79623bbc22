"""What a worker says of itself: its row of `workers`, which the API shows."""
