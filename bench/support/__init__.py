"""What the parts need: servers, load, a stub of ECS, chargers in a database."""
