"""The baselines: the same route written plainly, and Celery's bare hand-over of a task."""
