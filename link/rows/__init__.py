"""The statements of the link. Each serves all sessions, or many rows, at once."""
