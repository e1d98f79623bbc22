"""What the embedded ECS knows, and the file that keeps it."""
