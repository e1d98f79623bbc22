"""The actions: a file for each area, a function for each action."""
