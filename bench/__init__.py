"""Measures what the product costs, as ratios of things that ran by turns: the machine is shared and noisy."""
