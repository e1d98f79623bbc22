"""Measures, prints, and writes docs/benchmarks.md: python -m bench [PART ...]. Fails when a budget is missed."""

import argparse
import gc
import sys
import traceback
from collections.abc import Callable
from time import monotonic

from bench.parts import (
    accept,
    change,
    charger,
    churn,
    dashboard,
    drain,
    drive,
    expiry,
    footprint,
    growth,
    hosts,
    hosts_many,
    hosts_quotas,
    jobs,
    locations,
    observe,
    one_process,
    ramp,
    reach,
    reconnect,
    removals,
    reports,
    tenants,
    waiting,
)
from bench.report import Report, record, worse_than_recorded
from bench.support.machine import describe_machine

PARTS: dict[str, Callable[[], Report]] = {
    "accept": accept.measure,
    "reach": reach.measure,
    "drain": drain.measure,
    "growth": growth.measure,
    "locations": locations.measure,
    "observe": observe.measure,
    "footprint": footprint.measure,
    "waiting": waiting.measure,
    "charger": charger.measure,
    "reconnect": reconnect.measure,
    "removals": removals.measure,
    "hosts": hosts.measure,
    "churn": churn.measure,
    "hosts-10000": hosts_many.measure,
    "hosts-quotas": hosts_quotas.measure,
    "one_process": one_process.measure,
    "jobs": jobs.measure,
    "ramp": ramp.measure,
    "expiry": expiry.measure,
    "reports": reports.measure,
    "tenants": tenants.measure,
    "drive": drive.measure,
    "change": change.measure,
    "dashboard": dashboard.measure,
}


def main() -> int:
    """Returns the exit code: 1 when a part broke or missed a budget."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them by default"
    )
    parser.add_argument("--dry", action="store_true", help="leave docs/benchmarks.md as it is")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    started = monotonic()
    failed = [name for name in arguments.parts or PARTS if not _run(name, dry=arguments.dry)]
    print(f"\n{(monotonic() - started) / 60:.1f} minutes in all")
    if failed:
        print(f"Not within its budgets: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, *, dry: bool) -> bool:
    """Measure one part. False when it broke or missed a budget; the other parts still run."""
    started, machine = monotonic(), describe_machine()
    gc.collect()
    gc.freeze()  # a collection of all that is imported takes 0.1 s, which clients of this process would measure
    try:
        report = PARTS[name]()
    except Exception:
        traceback.print_exc()
        return False
    print(f"\n{name}, in {monotonic() - started:.0f} s\n\n{machine}\n\n{report.markdown()}", flush=True)
    for worse in worse_than_recorded(name, report):
        print(f"Worse than on the page: {worse}", file=sys.stderr)
    if not dry:
        record(name, report, machine)
    return all(budget.met for budget in report.budgets)


if __name__ == "__main__":
    sys.exit(main())
