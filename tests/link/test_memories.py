"""The secrets of a charger's memory are stored encrypted, or not at all."""

from link.work.memories import open_memory, seal_memory
from shared.sealing import Sealer
from tests.support.environment import ENCRYPTION_KEY

MEMORY = {"format": 1, "options": {"heartbeat_s": "60"}, "secrets": {"password": "hunter22"}}
OTHER_KEY = "b" * 43


def test_what_was_sealed_is_opened_for_the_charger() -> None:
    sealer = Sealer((ENCRYPTION_KEY,))

    stored = seal_memory(MEMORY, sealer)

    assert "hunter22" not in str(stored)
    assert stored["options"] == MEMORY["options"]
    assert open_memory("dep-1", stored, sealer) == MEMORY


def test_without_keys_and_with_other_keys_the_secrets_are_missing() -> None:
    stored = seal_memory(MEMORY, Sealer((ENCRYPTION_KEY,)))

    without = {name: value for name, value in MEMORY.items() if name != "secrets"}
    assert seal_memory(MEMORY, Sealer(())) == without
    assert open_memory("dep-1", stored, Sealer(())) == without
    assert open_memory("dep-1", stored, Sealer((OTHER_KEY,))) == without


def test_a_charger_cannot_have_its_own_text_opened() -> None:
    sealer = Sealer((ENCRYPTION_KEY,))

    stored = seal_memory({"sealed_secrets": "anything"}, sealer)

    assert open_memory("dep-1", stored, sealer) == {}
