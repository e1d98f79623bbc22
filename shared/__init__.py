"""What the api and the worker agree on: settings, rows, queue and task names, rules. Imports neither."""
