"""What those who run the service need to see: open commands, workers, links. Read from the database alone."""
