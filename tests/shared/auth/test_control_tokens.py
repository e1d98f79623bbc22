"""The tokens of the control link: good for one process, for one boot of it, or for nothing."""

from typing import Any

import jwt
import pytest

from shared.auth.control_tokens import AUDIENCE, ControlClaims, ControlTokens, key_id
from shared.auth.errors import TokenRefused

OLD, NEW = (
    "o1d-" * 3 + "a-random-secret-of-32-bytes-or-more",
    "n3w-" * 3 + "another-random-secret-of-32-bytes",
)
tokens = ControlTokens([NEW])


def signed(secret: str = NEW, **claims: Any) -> str:
    given = {"aud": AUDIENCE, "sub": "dep-1", "use": "hello"} | claims
    return jwt.encode(
        {name: value for name, value in given.items() if value is not None},
        secret,
        algorithm="HS256",
        headers={"kid": key_id(secret)},
    )


def test_a_first_token_is_good_for_every_boot_of_its_process_and_always_the_same() -> None:
    assert tokens.verify(tokens.first_token("dep-1")) == ControlClaims("dep-1", None)
    assert tokens.first_token("dep-1") == ControlTokens([NEW, OLD]).first_token("dep-1")


def test_a_session_token_is_good_for_one_boot_and_expires() -> None:
    token = tokens.session_token("dep-1", "b00t")

    assert tokens.verify(token) == ControlClaims("dep-1", "b00t")
    assert jwt.decode(token, options={"verify_signature": False})["exp"]


def test_after_a_rotation_the_first_secret_signs_and_the_others_still_verify() -> None:
    before, rotated = ControlTokens([OLD]), ControlTokens([NEW, OLD])

    assert rotated.verify(before.first_token("dep-1")) == ControlClaims("dep-1", None)
    assert rotated.first_token("dep-1") != before.first_token("dep-1")
    with pytest.raises(TokenRefused):
        tokens.verify(before.first_token("dep-1"))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "chargehand"},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 129},
        {"use": "other"},
        {"use": None},
        {"use": "session", "boot": "b00t"},
        {"use": "session", "exp": 4_000_000_000},
        {"use": "session", "boot": "b00t", "exp": 1_000_000_000},
    ],
    ids=str,
)
def test_a_token_with_other_claims_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        tokens.verify(signed(**claims))


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 100_000, tokens.first_token("dep-1")[:-2], signed(OLD)])
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        tokens.verify(token)
