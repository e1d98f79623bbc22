"""The token of stack.json, which is what the clients of a stack on this machine use."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.embedded.test_up import running_up
from tests.embedded.waiting import wait_until


def test_a_stack_renews_its_token_before_it_expires() -> None:
    with (
        TemporaryDirectory(prefix="chargehand-up-", ignore_cleanup_errors=True) as name,
        running_up(Path(name), JWT_MAX_AGE_SECONDS="4") as up,
    ):
        first = up.stack["token"]
        wait_until(lambda: up.stack["token"] != first, 10)

        assert up.get("/ocpp/chargers")["total"] == 0
        assert (Path(name) / "stack.json").stat().st_mode & 0o777 == 0o600
