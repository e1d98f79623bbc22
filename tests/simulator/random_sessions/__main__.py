"""Runs many random sessions, and prints what happened: `python -m tests.simulator.random_sessions --sessions 10000`."""

import argparse
import asyncio
import time

from tests.simulator.random_sessions.driver import drive

CALL_TIMEOUT_S = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.random_sessions", description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000, help="in all (default: 10000)")
    parser.add_argument("--chargers", type=int, default=100, help="at the same time (default: 100)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeats the choices of a run")
    parser.add_argument("--misbehave", action="store_true", help="the chargers misbehave too")
    options = parser.parse_args()
    each = -(-options.sessions // options.chargers)
    started_s, started_cpu_s = time.monotonic(), time.process_time()
    csms = asyncio.run(
        drive(
            options.chargers,
            each,
            seed=options.seed,
            call_timeout_s=CALL_TIMEOUT_S,
            misbehaves=options.misbehave,
        )
    )
    messages = [each for received in csms.received.values() for each in received.values()]
    begun = sum("meterStart" in each or each.get("eventType") == "Started" for each in messages)
    print(
        f"{each * options.chargers} sessions at {options.chargers} chargers, seed {options.seed}: "
        f"{csms.calls} calls, {csms.wrong_answers} answered wrongly; "
        f"{len(messages)} messages about {begun} transactions, "
        f"none lost, none sent again. {time.monotonic() - started_s:.0f} s, "
        f"{time.process_time() - started_cpu_s:.0f} s of CPU."
    )


if __name__ == "__main__":
    main()
