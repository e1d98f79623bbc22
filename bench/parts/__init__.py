"""What `make bench` measures: a module per part, each with `measure()`."""
