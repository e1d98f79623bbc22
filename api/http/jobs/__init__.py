"""The bodies, queries and answers of jobs. Beyond the contract."""
