"""Measures what the product costs. Most figures are ratios of runs that alternate, because the machine is shared and noisy."""
