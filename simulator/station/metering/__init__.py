"""Meters: what they show, and when they are read."""
