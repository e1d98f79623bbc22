"""Lets the current request wait, if a slot is free."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flask import Response, g

from api.http.auth import requester
from api.limits.slots import Full, FullForOrganization
from api.live.watcher import Target
from api.resources import resources

SKIPPED_HEADER = "Wait-Skipped"


class TooManyWaits(Exception):
    """No slot is left for a request that has to wait. Nothing has been stored."""

    def __init__(self) -> None:
        super().__init__("Too many requests wait for results at once: try again later")


def wait_for(target: Target, timeout_s: float) -> bool:
    """Return when the target is final or gone, after timeout_s seconds at the latest, or when the server ends.

    Returns False at once if the process or the organization has no slot left; the answer then has SKIPPED_HEADER.
    """
    waited = resources().watcher.wait(target, timeout_s, organization_id=requester().organization_id)
    if not waited:
        g.wait_skipped = True
    return waited


@contextmanager
def slot_to_wait() -> Iterator[bool]:
    """Hold a slot in the block. False when none is left; the answer then has SKIPPED_HEADER."""
    with ExitStack() as stack:
        try:
            stack.enter_context(resources().watcher.slot(requester().organization_id))
        except (Full, FullForOrganization):
            g.wait_skipped = True
            yield False
        else:
            yield True


def mark_skipped_wait(response: Response) -> Response:
    """Set SKIPPED_HEADER if the request could not wait. To be called after a request."""
    if g.get("wait_skipped"):
        response.headers[SKIPPED_HEADER] = "true"
    return response
