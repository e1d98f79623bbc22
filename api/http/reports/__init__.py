"""Reports of jobs and locations: the query, and the report as JSON, CSV, JUnit and a page. Beyond the contract."""
