"""The errors of the client. Each message is one line for people, with the remedy."""


class Failure(Exception):
    """A request or a wait failed. The command line ends with exit_status."""

    exit_status = 1


class TimeIsUp(Failure):
    """It did not happen in time. It may still happen."""

    exit_status = 3


class Unreachable(Failure):
    """No stack is known, or the stack does not answer."""

    exit_status = 4


class Refused(Failure):
    """The API answered with an error. `status` is the HTTP status."""

    def __init__(self, message: str, status: int, *, action_id: str | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.action_id = action_id  #: of an action that was stored and not applied
        self.code = code  #: why it was not, as a code of docs/errors.md
