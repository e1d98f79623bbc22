"""The domain: rows and rules, without HTTP. Every function is scoped to one organization."""
