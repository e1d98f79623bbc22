"""Why a token is not accepted."""


class TokenRefused(Exception):
    """The token proves nothing. The message is for the log; clients get one text for every cause."""


class KeysUnavailable(Exception):
    """The keys to verify with cannot be fetched, so nobody can tell whether the token is good."""
