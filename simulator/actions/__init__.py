"""What happens to a running charger: one table of actions, for every door that they come through."""
