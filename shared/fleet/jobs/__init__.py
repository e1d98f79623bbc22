"""Jobs: start, stop, restart or delete many chargers by one request. Workers record the commands a portion at a time."""
