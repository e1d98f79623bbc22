"""Which stack to talk to: the one that the environment names, else the one that runs on this machine."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chargehand.client.failures import Failure, Unreachable
from embedded.stack_file import STACK_FILE
from embedded.state import state_folder

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
    url = os.environ.get("CHARGEHAND_URL")
    local = running_stack(state_folder())
    if url:
        url = _checked(url)
        csms_url = os.environ.get("CHARGEHAND_CSMS_URL")
        if local is not None and local["api"] == url:
            return _stack(url, _token() or local["token"], csms_url or local["csms"])
        return _stack(url, _token(), csms_url)
    if local is None:
        raise Unreachable(f"no stack runs on {state_folder()}: {HOW_TO_GET_ONE}")
    return _stack(
        local["api"], _token() or local["token"], os.environ.get("CHARGEHAND_CSMS_URL") or local["csms"]
    )


def running_stack(folder: Path) -> dict[str, Any] | None:
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


def _stack(url: str, token: str | None, csms_url: str | None) -> Stack:
    if not token:
        raise Failure(f"there is no token for {url}: set CHARGEHAND_TOKEN or CHARGEHAND_TOKEN_FILE")
    return Stack(url, token, csms_url, os.environ.get("CHARGEHAND_ORGANIZATION") or None)


def _token() -> str | None:
    """Of CHARGEHAND_TOKEN or CHARGEHAND_TOKEN_FILE. Raises Failure."""
    token, file = os.environ.get("CHARGEHAND_TOKEN"), os.environ.get("CHARGEHAND_TOKEN_FILE")
    if token and file:
        raise Failure("CHARGEHAND_TOKEN and CHARGEHAND_TOKEN_FILE are both set: set one of them")
    if file:
        try:
            token = Path(file).read_text()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise Failure(f"CHARGEHAND_TOKEN_FILE {file} cannot be read: {reason}") from error
    token = (token or "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise Failure("the token has characters that no token has: set CHARGEHAND_TOKEN to one token")
    return token or None


def _checked(url: str) -> str:
    """The URL without its last slash. Raises Failure."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Failure(f"CHARGEHAND_URL={url} is no http:// or https:// address")
    return url.rstrip("/")
