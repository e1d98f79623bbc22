"""What clients can ask for: rows and rules, no HTTP. Every function is scoped to one organization."""
