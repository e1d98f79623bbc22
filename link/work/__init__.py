"""What a process of the link does beside its sessions, for all of them at once."""
