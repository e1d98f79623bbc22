"""The actions of running chargers: their table, their rows, and the secrets in them."""
