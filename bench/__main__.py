"""python -m bench [PART ...]: measure, print, and write docs/benchmarks.md. Fails when a budget is missed."""

import argparse
import sys
from collections.abc import Callable
from time import monotonic

from bench import accept, drain, reach, waiting
from bench.report import Report, record

PARTS: dict[str, Callable[[], Report]] = {
    "accept": accept.measure,
    "reach": reach.measure,
    "drain": drain.measure,
    "waiting": waiting.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them by default"
    )
    parser.add_argument("--dry", action="store_true", help="leave docs/benchmarks.md as it is")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    missed = 0
    for name in arguments.parts or PARTS:
        started = monotonic()
        report = PARTS[name]()
        print(f"\n{name}, in {monotonic() - started:.0f} s\n\n{report.markdown()}", flush=True)
        missed += sum(not budget.met for budget in report.budgets)
        if not arguments.dry:
            record(name, report)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
