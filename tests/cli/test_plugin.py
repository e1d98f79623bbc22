"""The pytest plugin, in pytest runs of their own against one running stack."""

import os
from pathlib import Path

import psutil
import pytest

from chargehand.pytest_plugin import RunningStack
from tests.cli.conftest import NOBODY, environment_of
from tests.support.waiting import wait_until

PREFIX = "PLUGIN"


@pytest.fixture
def inner(
    pytester: pytest.Pytester, chargehand: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """A pytest whose environment names the stack."""
    for name, value in environment_of(chargehand).items():
        monkeypatch.setenv(name, value)
    return pytester


def left_over(stack: RunningStack, prefix: str) -> list[str]:
    rows = stack.client.chargers(q=prefix)
    return [row["identity"] for row in rows if row["identity"].startswith(prefix)]


def test_five_lines_test_a_csms_and_leave_nothing(inner: pytest.Pytester, chargehand: RunningStack) -> None:
    inner.makepyfile(
        f"""
        def test_both_boot(chargers):
            one, two = chargers(count=2, ocpp_version="2.0.1", identity="{PREFIX}-A")
            assert [one.identity, two.identity] == ["{PREFIX}-A-1", "{PREFIX}-A-2"]
            assert one.runtime()["ocpp"]["state"] == two.runtime()["ocpp"]["state"] == "accepted"
            assert one.wait_for_frame("BootNotification")["direction"] in ("cp_to_csms", "csms_to_cp")
            one.stop()
            assert one.runtime()["observed"] == "stopped"
            one.start()
            one.restart(until="final")
            one.wait_until(lambda runtime: runtime["observed"] == "running")
            assert one.logs(event="BootNotification", limit=2)
            two.delete()

        def test_identities_are_made_up(chargers):
            first, second = chargers(until="final"), chargers(until="final")
            assert first[0].identity != second[0].identity
        """
    )

    done = inner.runpytest_subprocess("-q")

    done.assert_outcomes(passed=2)
    assert left_over(chargehand, f"{PREFIX}-A") == []


def test_a_test_acts_as_the_car_and_sees_why_an_action_is_rejected(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        f"""
        import pytest
        from chargehand.client.failures import Failure

        def test_a_car_comes_twice(chargers):
            [charger] = chargers(identity="{PREFIX}-C")
            charger.act("plug_connector", connector_id=1)
            with pytest.raises(Failure, match="rejected, a car is plugged in already"):
                charger.act("plug_connector", connector_id=1)
            with pytest.raises(Failure, match="there is no action fly"):
                charger.act("fly")
            assert charger.wait_for_frame("StatusNotification", connectorId=1, status="Preparing")
        """
    )

    inner.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_a_fleet_is_accepted_restarted_and_deleted_also_when_its_test_fails(
    inner: pytest.Pytester, chargehand: RunningStack
) -> None:
    inner.makepyfile(
        f"""
        def test_a_site(fleet):
            site = fleet(2, prefix="{PREFIX}-F-", name="{PREFIX}-F", labels={{"run": "7"}})
            assert site.identities == ["{PREFIX}-F-1", "{PREFIX}-F-2"]
            assert (len(site), [one.identity for one in site]) == (2, site.identities)
            assert site.get()["expires_at"] is not None
            site.restart(rate=10)
            site.wait_until_accepted()
            assert (site.standing().accepted, site.standing().impossible) == (2, 0)

        def test_a_crowd(fleet):
            crowd = fleet(3, prefix="{PREFIX}-S-", name="{PREFIX}-S", placement="shared")
            runtimes = [one.get()["runtime"] for one in crowd]
            assert [one["placement"] for one in runtimes] == ["shared"] * 3
            assert len({{one["host_id"] for one in runtimes}}) == 1

        def test_nobody_answers(fleet):
            fleet(1, prefix="{PREFIX}-G-", name="{PREFIX}-G", ws_url="{NOBODY}", within_s=8)
        """
    )

    done = inner.runpytest_subprocess("-q")

    done.assert_outcomes(passed=2, failed=1)
    assert "0 of 1 accepted after 8 s" in done.stdout.str()
    assert f"{PREFIX}-G-1: Runs since " in done.stdout.str()
    assert left_over(chargehand, f"{PREFIX}-F") == left_over(chargehand, f"{PREFIX}-G") == []
    assert not {row["name"] for row in chargehand.client.rows("/ocpp/locations")} & {
        f"{PREFIX}-F",
        f"{PREFIX}-G",
    }


def test_a_share_above_1_is_refused_before_the_fleet_is_made(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        f"""
        import pytest

        def test_twice_as_many(chargehand, fleet):
            with pytest.raises(pytest.fail.Exception, match="^accepted_share is from 0 to 1, not 2$"):
                fleet(1, prefix="{PREFIX}-H-", name="{PREFIX}-H", accepted_share=2)
            assert "{PREFIX}-H" not in [row["name"] for row in chargehand.client.rows("/ocpp/locations")]
        """
    )

    inner.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_a_charger_that_is_not_accepted_fails_the_test_with_the_reason_and_is_deleted(
    inner: pytest.Pytester, chargehand: RunningStack
) -> None:
    inner.makepyfile(
        f"""
        def test_nobody_answers(chargers):
            chargers(identity="{PREFIX}-B", ws_url="{NOBODY}", within_s=9)

        def test_fails_for_another_reason(chargers):
            chargers(identity="{PREFIX}-C")
            assert False
        """
    )

    done = inner.runpytest_subprocess("-q")

    done.assert_outcomes(failed=2)
    assert f"{PREFIX}-B (dep-" in done.stdout.str()
    assert "not accepted in time: " in done.stdout.str()
    assert "nothing listens on 127.0.0.1:9" in done.stdout.str()
    assert "wait_all" not in done.stdout.str()  # no trace of our own code
    assert left_over(chargehand, PREFIX) == []


def test_without_a_stack_in_the_environment_one_is_started_and_ended_with_the_session(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("CHARGEHAND_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", "postgresql://of-what-is-tested/and-not-ours")
    for name in ("REDIS_URL", "BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(f"{name}_FILE", "/of-what-is-tested/and-not-ours")
    pytester.makepyfile(
        """
        import json
        from pathlib import Path

        def test_it_answers(chargehand, chargers):
            assert chargers(count=2)
            Path("stack.json").write_text((chargehand.folder / "stack.json").read_text())
            Path("folder").write_text(str(chargehand.folder))
            assert chargehand.folder.stat().st_mode & 0o777 == 0o711
            assert (chargehand.folder / "up.log").stat().st_mode & 0o777 == 0o600
        """
    )

    done = pytester.runpytest_subprocess("-q")

    done.assert_outcomes(passed=1)
    folder = (pytester.path / "folder").read_text()
    assert not Path(folder).exists()
    wait_until(lambda: not [process for process in psutil.process_iter() if uses(process, folder)], 10)


def uses(process: psutil.Process, folder: str) -> bool:
    try:
        return any(folder in argument for argument in process.cmdline())
    except psutil.Error:
        return False


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"CHARGEHAND_TOKEN": "of-nobody"}, "does not take the token"),
        ({"CHARGEHAND_ORGANIZATION": "acme"}, "X-Organization-Id is for admin tokens"),
        ({"CHARGEHAND_TOKEN": "of-nobody", "CHARGEHAND_URL": "http://127.0.0.1:9"}, ""),
    ],
)
def test_the_stack_of_a_folder_takes_the_token_and_organization_of_the_environment_if_they_are_its_own(
    inner: pytest.Pytester,
    chargehand: RunningStack,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    problem: str,
) -> None:
    for name in ("CHARGEHAND_URL", "CHARGEHAND_TOKEN"):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    inner.makepyfile("def test_it(chargehand): chargehand.client.get('/ocpp/chargers')")

    done = inner.runpytest_subprocess("-q", f"--chargehand-state={chargehand.folder}")

    done.assert_outcomes(failed=bool(problem), passed=not problem)
    assert problem in done.stdout.str()


def test_a_stack_that_cannot_start_is_an_error_with_its_last_lines(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHARGEHAND_URL", raising=False)
    (pytester.path / "state").touch()
    pytester.makepyfile("def test_it(chargehand): pass")

    done = pytester.runpytest_subprocess("-q", "--chargehand-state", "state/below")

    done.assert_outcomes(errors=1)
    assert "Not a directory" in done.stdout.str()


def test_a_run_that_uses_no_fixture_imports_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARGEHAND_URL", "http://127.0.0.1:9")
    pytester.makepyfile(
        """
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.startswith(("chargehand", "embedded"))}
            assert ours == {"chargehand", "chargehand.pytest_plugin"}
        """
    )

    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)
