"""What a command loads before it does something: --help and each completion of a shell wait for it."""

import subprocess
import sys

SLOW = {"celery", "environs", "flask", "httpx", "marshmallow", "rich", "sqlalchemy"}


def test_the_command_line_loads_no_slow_library_before_it_needs_it() -> None:
    script = f"import sys, chargehand.cli; print(sorted({SLOW} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
