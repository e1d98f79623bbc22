"""Why the link closes a connection: the codes of the protocol (docs/control-link.md)."""

from enum import IntEnum


class CloseCode(IntEnum):
    """4000 and above are the protocol's own, the others WebSocket's."""

    RESTARTING = 1012
    TRY_AGAIN = 1013
    INTERNAL_ERROR = 1011
    BAD_FRAME = 4000
    BAD_TOKEN = 4001
    FORBIDDEN = 4003  #: not this token's process or charger
    NO_SUCH_CHARGER = 4004
    TAKEN = 4009  #: another boot of this process is connected, or a newer session of this boot
    TOO_MUCH = 4029


class Closing(Exception):
    """Ends one connection, and says why."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason[:100]  # a close frame holds 123 bytes
