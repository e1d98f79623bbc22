"""The service scheduler: it runs each service's desired tasks as local processes."""
