"""Writes what `chargehand up` prints when it is ready: the addresses, and commands to try. It holds no secret."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request

from embedded.ports import USUAL_PORTS, direct
from embedded.stack.state_folder import DEFAULT_STATE_DIR, FLOWER_PASSWORD_FILE

FIRST_CHARGER = "HELLO-1"

#: For a stack without chargers.
FIRST_COMMANDS = f"""\
  chargehand chargers create {FIRST_CHARGER}    # waits until the CSMS has accepted it
  chargehand chargers logs {FIRST_CHARGER}      # the messages between them"""

#: For a stack with chargers.
NEXT_COMMANDS = """\
  chargehand chargers list"""


def greeting(stack: Mapping[str, Any], folder: Path, took_s: float) -> str:
    """The text for the stack.json `stack` in the state folder `folder`."""
    chargers = count_chargers(stack)
    found = f" It has {chargers} charger{'s' * (chargers != 1)} from the last run." if chargers else ""
    return f"""
Chargehand is ready after {took_s:.1f} s. Ctrl-C stops it.{found}

  Dashboard  {stack["api"]}/dashboard{how_to_sign_in(stack, folder)}
  API        {stack["api"]}
  API page   {stack["docs"]}
  CSMS       {stack["csms"]}    accepts every charger{unusual("csms", stack["csms"])}
  Link       {stack["link"]}    chargers connect to it, and take actions
  Flower     {stack["flower"]}    user {stack["flower_user"]}, password in {shown(folder / FLOWER_PASSWORD_FILE)}{unusual("flower", stack["flower"])}
  Logs       {stack["logs"]}

In a second terminal, in this folder:

  eval "$({command(folder)} env)"
{NEXT_COMMANDS if chargers else FIRST_COMMANDS}
"""


def how_to_sign_in(stack: Mapping[str, Any], folder: Path) -> str:
    """A line with the command that prints a token for the dashboard; empty if others sign the tokens."""
    if stack["token"] is None:
        return ""
    show = f'eval "$({command(folder)} env)" && echo "$CHARGEHAND_TOKEN"'  # also where the secret is not in the folder
    return f"\n             asks for a token: {show}"


def count_chargers(stack: Mapping[str, Any]) -> int:
    """The number of chargers of the demo organization; 0 if the API does not answer."""
    request = Request(  # noqa: S310 - our own address
        f"{stack['api']}/ocpp/chargers?limit=1", headers={"Authorization": f"Bearer {stack['token']}"}
    )
    try:
        with direct.open(request, timeout=3) as answer:
            return int(json.load(answer)["total"])
    except (URLError, OSError):
        return 0


def shown(file: Path) -> str:
    """The file's path, relative if it is below the current folder."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def unusual(name: str, url: str) -> str:
    """A remark on a URL that does not have the usual port; else empty."""
    usual = USUAL_PORTS[name]
    return "" if urlsplit(url).port == usual else f" (not on the usual port {usual})"


def command(folder: Path) -> str:
    """How to call `chargehand` for this state folder from the current folder."""
    program = Path(sys.argv[0])
    called = (
        f"{shlex.quote(sys.executable)} -m chargehand"
        if program.suffix == ".py"
        else shlex.quote(sys.argv[0])
    )
    if folder == Path(DEFAULT_STATE_DIR).absolute():
        return called
    return f"STATE_DIR={shlex.quote(str(folder))} {called}"
