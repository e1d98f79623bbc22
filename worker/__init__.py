"""Commands in, ECS calls and status rows out. The only code that talks to AWS."""
