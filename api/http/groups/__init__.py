"""The body and the answers of a request that creates the chargers of a location in groups."""
