"""Simulated firmware updates and log uploads: their steps are reported, but nothing is transferred."""
