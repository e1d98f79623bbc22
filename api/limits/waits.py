"""Lets the current request wait, as long as there are places for those who wait."""

from flask import Response, g

from api.http.auth import requester
from api.live.watcher import Target
from api.resources import resources

SKIPPED_HEADER = "Wait-Skipped"


def wait_for(target: Target, timeout_s: float) -> bool:
    """Return when the target is final or gone, after timeout_s at the latest, or when the server ends.

    False, at once, when the process or the organization has as many that wait as it may: the answer says so in
    SKIPPED_HEADER.
    """
    waited = resources().watcher.wait(target, timeout_s, organization_id=requester().organization_id)
    if not waited:
        g.wait_skipped = True
    return waited


def mark_skipped_wait(response: Response) -> Response:
    """For after a request."""
    if g.get("wait_skipped"):
        response.headers[SKIPPED_HEADER] = "true"
    return response
