"""A small client of the public API, for the command line and the pytest plugin."""
