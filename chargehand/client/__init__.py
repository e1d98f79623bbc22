"""A small client of the public API: what the command line and the pytest plugin are built on."""
