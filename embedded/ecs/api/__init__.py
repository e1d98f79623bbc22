"""The actions of Amazon ECS's API."""
