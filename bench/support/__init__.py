"""Servers, load, a stub of ECS and chargers in a database, for the parts."""
