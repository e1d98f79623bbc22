"""Amazon ECS and CloudWatch Logs for a laptop: moto's server, and a scheduler that runs tasks as local processes."""
