"""Pages of the List actions."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from embedded.ecs.errors import InvalidParameterException
from embedded.ecs.state.model import Json

MAX_RESULTS = 100


def page(
    request: Json,
    name: str,
    items: list[str],
    *,
    default: int,
    order: Callable[[str], Any] = str,
    descending: bool = False,
) -> Json:
    """The answer with the items after `nextToken`, which names the last item of the page before.

    That item may be gone by now. Raises InvalidParameterException.
    """
    limit = request.get("maxResults") or default
    if not 1 <= limit <= MAX_RESULTS:
        raise InvalidParameterException(f"maxResults must be between 1 and {MAX_RESULTS}.")
    rest = sorted(items, key=order, reverse=descending)
    if request.get("nextToken"):
        after = order(read_token(request["nextToken"]))
        rest = [item for item in rest if (order(item) < after if descending else order(item) > after)]
    answer: Json = {name: rest[:limit]}
    if len(rest) > limit:
        answer["nextToken"] = base64.urlsafe_b64encode(rest[limit - 1].encode()).decode()
    return answer


def read_token(token: str) -> str:
    """The item that a `nextToken` names. Raises InvalidParameterException."""
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError):
        raise InvalidParameterException("Invalid token.") from None
