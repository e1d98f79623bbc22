"""What is stored encrypted, and how its keys are changed."""

import base64
import secrets

import pytest

from shared.sealing import CannotOpen, NoKeys, Sealer
from shared.settings import SettingsError


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def test_what_is_sealed_is_opened_again_and_does_not_show_the_text() -> None:
    sealer = Sealer((new_key(),))

    sealed = sealer.seal("geheim🔑")

    assert sealer.open_sealed(sealed) == "geheim🔑"
    assert "geheim" not in sealed
    assert sealer.seal("geheim🔑") != sealed  # equal passwords do not look equal


def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    old, new = new_key(), new_key()
    sealed_before = Sealer((old,)).seal("before")

    both = Sealer((new, old))

    assert both.open_sealed(sealed_before) == "before"
    assert Sealer((new,)).open_sealed(both.seal("after")) == "after"


def test_data_is_recognized_by_the_digest_of_an_earlier_key_and_of_no_other() -> None:
    old, new = new_key(), new_key()
    stored = Sealer((old,)).digests(b"body")[0]

    assert stored in Sealer((new, old)).digests(b"body")
    assert stored not in Sealer((new, old)).digests(b"other")
    assert stored not in Sealer((new,)).digests(b"body")


def test_nothing_is_opened_without_its_key() -> None:
    sealed = Sealer((new_key(),)).seal("text")

    for keys in ((new_key(),), ()):
        with pytest.raises(CannotOpen):
            Sealer(keys).open_sealed(sealed)


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(NoKeys, match="ENCRYPTION_KEYS"):
        Sealer(()).seal("text")


@pytest.mark.parametrize(
    "form", [str, lambda key: key.rstrip("="), lambda key: key.replace("+", "-").replace("/", "_")]
)
def test_a_key_may_have_either_alphabet_of_base64_and_no_padding(form: type[str]) -> None:
    key = new_key()

    assert Sealer((form(key),)).open_sealed(Sealer((key,)).seal("text")) == "text"


@pytest.mark.parametrize("key", ["short", "?" * 44, base64.b64encode(b"16 bytes of them").decode()])
def test_a_setting_that_is_no_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(SettingsError, match="ENCRYPTION_KEYS must be") as refused:
        Sealer((key,))

    assert key not in str(refused.value)
