"""Options of httpx for the servers of the tests, which are on this machine and speak plain HTTP."""

from typing import Any

#: No proxy, and no certificates, which take 20 ms of CPU to load for each client and for each request without one.
PLAIN_HTTP: Any = {"trust_env": False, "verify": False}
