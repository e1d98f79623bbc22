"""The strict fields of request bodies and queries."""
