"""What a memory of a charger has of secrets, such as the password that its CSMS set: it is stored encrypted."""

from typing import Any

import orjson
import structlog

from shared.sealing import CannotOpen, Sealer

log = structlog.get_logger(__name__)

#: The member in which a charger sends its secrets, and the one in which they are stored.
SECRETS, SEALED = "secrets", "sealed_secrets"

Memory = dict[str, Any]


def seal_memory(memory: Memory, sealer: Sealer) -> Memory:
    """The memory as it is stored. Without keys its secrets are not kept."""
    kept = {name: value for name, value in memory.items() if name not in (SECRETS, SEALED)}
    secrets = memory.get(SECRETS)
    if not secrets or not sealer.has_keys:
        return kept
    return kept | {SEALED: sealer.seal(orjson.dumps(secrets).decode())}


def open_memory(charger_id: str, memory: Memory, sealer: Sealer) -> Memory:
    """The memory as its charger sent it; without its secrets, if no key opens them any more."""
    kept = {name: value for name, value in memory.items() if name != SEALED}
    if SEALED not in memory:
        return kept
    try:
        return kept | {SECRETS: orjson.loads(sealer.open_sealed(memory[SEALED]))}
    except CannotOpen as error:
        log.warning("control.memory_not_opened", charger_id=charger_id, error=str(error))
        return kept
