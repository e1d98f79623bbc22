"""Faults on demand, for API calls and for starts of tasks."""
