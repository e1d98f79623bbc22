"""Which stack to talk to: the one that the environment names, else the one that runs on this machine."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chargehand.client.failures import Failure, Unreachable
from embedded.stack.state_folder import STACK_FILE, state_folder

HOW_TO_GET_ONE = "start one with `make run`, or set CHARGEHAND_URL and CHARGEHAND_TOKEN"


@dataclass(frozen=True, slots=True)
class Stack:
    """A running Chargehand, and who we are to it."""

    url: str  #: of the API, without a slash at the end
    token: str = field(repr=False)
    csms_url: str | None = None  #: the CSMS that comes with an embedded stack
    organization: str | None = None  #: which an admin's token acts for


def find_stack() -> Stack:
    """The stack of CHARGEHAND_URL and CHARGEHAND_TOKEN, else that of the state folder.

    Raises Unreachable when there is none, Failure when a variable makes no sense.
    """
    url = _url()
    local = read_description(state_folder())
    if local is not None and url in (None, local["api"]):
        return stack_of(local)
    if url is None:
        raise Unreachable(f"no stack runs on {state_folder()}: {HOW_TO_GET_ONE}")
    return _stack(url, _token(), os.environ.get("CHARGEHAND_CSMS_URL"), _organization())


def stack_of(description: Mapping[str, Any]) -> Stack:
    """The stack that a stack.json describes. Raises Failure when it has no token for us.

    The environment's token, CSMS and organization go before its own, unless CHARGEHAND_URL names another stack.
    """
    if _url() not in (None, description["api"]):
        return described_stack(description)
    csms_url = os.environ.get("CHARGEHAND_CSMS_URL") or description["csms"]
    return _stack(description["api"], _token() or description["token"], csms_url, _organization())


def described_stack(description: Mapping[str, Any]) -> Stack:
    """The same, whatever the environment says."""
    return _stack(description["api"], description["token"], description["csms"], None)


def read_description(folder: Path) -> dict[str, Any] | None:
    """What stack.json says; None when no stack is ready there. Raises Failure when it cannot be read."""
    file = folder / STACK_FILE
    try:
        description: dict[str, Any] = json.loads(file.read_text())
        running = _is_alive(int(description["pid"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{file} is damaged: restart the stack") from error
    return description if running else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False  # killed, so it could not remove its file
    except PermissionError:
        return True  # somebody else's
    return True


def _stack(url: str, token: str | None, csms_url: str | None, organization: str | None) -> Stack:
    if not token:
        raise Failure(f"there is no token for {url}: set CHARGEHAND_TOKEN or CHARGEHAND_TOKEN_FILE")
    return Stack(url, token, csms_url, organization)


def _organization() -> str | None:
    """Raises Failure for what no header can carry."""
    organization = os.environ.get("CHARGEHAND_ORGANIZATION") or None
    if organization and not (organization.isascii() and organization.isprintable()):
        raise Failure("CHARGEHAND_ORGANIZATION must be printable ASCII")
    return organization


def _token() -> str | None:
    """Of CHARGEHAND_TOKEN or CHARGEHAND_TOKEN_FILE. Raises Failure."""
    token, file = os.environ.get("CHARGEHAND_TOKEN"), os.environ.get("CHARGEHAND_TOKEN_FILE")
    if token and file:
        raise Failure("CHARGEHAND_TOKEN and CHARGEHAND_TOKEN_FILE are both set: set one of them")
    if file:
        try:
            token = Path(file).read_text()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise Failure(f"CHARGEHAND_TOKEN_FILE {file} cannot be read: {reason}") from error
    token = (token or "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise Failure("the token has characters that no token has: set CHARGEHAND_TOKEN to one token")
    return token or None


def _url() -> str | None:
    """CHARGEHAND_URL without its last slash. Raises Failure."""
    url = os.environ.get("CHARGEHAND_URL")
    if not url:
        return None
    try:
        split = urlsplit(url)
        usable = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Failure(f"CHARGEHAND_URL={url} is not an http:// or https:// URL")
    return url.rstrip("/")
