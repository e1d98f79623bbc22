"""What a charger's process needs to know about its charger: the specification."""
