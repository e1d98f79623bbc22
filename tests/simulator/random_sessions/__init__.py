"""Random charging sessions against a CSMS that answers wrongly: `python -m tests.simulator.random_sessions`."""
