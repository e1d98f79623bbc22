"""Why a token is not accepted."""


class TokenRefused(Exception):
    """The token is not valid. The message is for the log; clients get one text for every cause."""


class KeysUnavailable(Exception):
    """The keys cannot be fetched, so the token can be neither accepted nor refused."""
