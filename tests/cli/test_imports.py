"""What a command loads before it does something: --help and each completion of a shell wait for it."""

import subprocess
import sys

from chargehand.client.starting import MODULES

SLOW = {"celery", "environs", "flask", "httpx", "marshmallow", "rich", "sqlalchemy"}


def test_the_command_line_loads_no_slow_library_before_it_needs_it() -> None:
    script = f"import sys, chargehand.cli; print(sorted({SLOW} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_up_without_its_extra_says_what_is_missing() -> None:
    script = f"""import sys; sys.modules.update(dict.fromkeys({MODULES})); sys.argv = ["chargehand", "up"]
from chargehand.cli import main; main()"""

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "psutil" in line
    assert "the extra `embedded`" in line
