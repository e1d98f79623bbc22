"""The feed of an organization's changes: its cursors, queries and answers."""
