"""Locations: the sites that chargers belong to."""
