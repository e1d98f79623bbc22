"""The settings with which every part of the product starts under test."""

from collections.abc import Callable

from shared.auth.tokens import make_token
from shared.settings import TokenSettings

JWT_SECRET = "a-secret-of-the-tests-that-is-long-enough-to-be-accepted"

ENCRYPTION_KEY = "dGhlLWVuY3J5cHRpb24ta2V5LW9mLWFsbC10aGUtdGU="
CONTROL_SECRET = "another-secret-of-the-tests-for-the-tokens-of-the-control-link"

Token = Callable[..., str]  #: the fixture `token`


def environment(database_url: str, redis_url: str) -> dict[str, str]:
    """The variables with which any part of the product starts under test."""
    return {
        "CHARGEHAND_ENV": "production",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "JWT_SECRET": JWT_SECRET,
        "CONTROL_SECRET": CONTROL_SECRET,
        "ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "RATE_LIMIT": "",
        "CHARGEHAND_INSTALLATION": "tests",  # their ECS has another address in each test
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
    }


def tokens_of(settings: TokenSettings) -> Token:
    """Makes tokens that a part with these settings takes: `token(organization="acme")`, `token(role="admin")`."""

    def token(
        organization: str | None = "acme", role: str = "user", subject: str = "tester", ttl_s: int = 3600
    ) -> str:
        return make_token(
            settings,
            subject=subject,
            organization_id=None if role == "admin" else organization,
            role=role,
            ttl_s=ttl_s,
        )

    return token
