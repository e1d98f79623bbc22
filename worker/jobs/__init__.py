"""The worker's part of jobs: record the commands of the next portion, and note what became of those before."""
