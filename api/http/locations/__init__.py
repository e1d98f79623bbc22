"""The bodies and answers of locations."""
