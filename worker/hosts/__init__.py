"""Hosts, whose tasks run many chargers of one organization: which charger is where, and what its host shall do."""
