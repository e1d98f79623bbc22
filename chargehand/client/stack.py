"""Finds the stack to use: the one of the environment, else the one that runs on this machine."""

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
    """The address of a stack, and the credentials for it."""

    url: str  #: of the API, without a slash at the end
    token: str = field(repr=False)
    csms_url: str | None = None  #: of the stack's own CSMS
    organization: str | None = None  #: that an admin's token acts for


def find_stack() -> Stack:
    """The stack of CHARGEHAND_URL and CHARGEHAND_TOKEN, else that of the state folder.

    Raises Unreachable if there is none, Failure if a variable is not valid.
    """
    url = _url()
    local = read_description(state_folder())
    if local is not None and url in (None, local["api"]):
        return stack_of(local)
    if url is None:
        raise Unreachable(f"no stack runs on {state_folder()}: {HOW_TO_GET_ONE}")
    return _stack(url, _token(), os.environ.get("CHARGEHAND_CSMS_URL"), _organization())


def stack_of(description: Mapping[str, Any]) -> Stack:
    """The stack of a stack.json. Raises Failure if there is no token.

    The environment's token, CSMS and organization go first, unless CHARGEHAND_URL names another stack.
    """
    if _url() not in (None, description["api"]):
        return described_stack(description)
    csms_url = os.environ.get("CHARGEHAND_CSMS_URL") or description["csms"]
    return _stack(description["api"], _token() or description["token"], csms_url, _organization())


def described_stack(description: Mapping[str, Any]) -> Stack:
    """The stack of a stack.json, without the environment. Raises Failure if there is no token."""
    return _stack(description["api"], description["token"], description["csms"], None)


def read_description(folder: Path) -> dict[str, Any] | None:
    """The content of stack.json; None if no stack is ready there. Raises Failure if it cannot be read."""
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
        return False  # it was killed, and did not remove its file
    except PermissionError:
        return True  # a process of another user
    return True


def _stack(url: str, token: str | None, csms_url: str | None, organization: str | None) -> Stack:
    if not token:
        raise Failure(f"there is no token for {url}: set CHARGEHAND_TOKEN or CHARGEHAND_TOKEN_FILE")
    return Stack(url, token, csms_url, organization)


def _organization() -> str | None:
    """CHARGEHAND_ORGANIZATION. Raises Failure if a header cannot carry it."""
    organization = os.environ.get("CHARGEHAND_ORGANIZATION") or None
    if organization and not (organization.isascii() and organization.isprintable()):
        raise Failure("CHARGEHAND_ORGANIZATION must be printable ASCII")
    return organization


def _token() -> str | None:
    """CHARGEHAND_TOKEN, or the content of CHARGEHAND_TOKEN_FILE. Raises Failure."""
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
    """CHARGEHAND_URL without a slash at its end. Raises Failure."""
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
