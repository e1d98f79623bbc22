"""Charging profiles: the limits that a CSMS sets, and what they allow together."""
