"""What answers show of hosts, whose tasks run many chargers."""
