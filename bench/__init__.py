"""Measures what the product costs. Everything is a ratio inside one run: the machine is shared and noisy."""
