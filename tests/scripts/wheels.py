"""Wheels and a checkout that are as small as they can be, so that real installers install them in no time."""

import hashlib
import zipfile
from pathlib import Path

BACKEND = """
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "checkout-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("checkout.py", "")
        wheel.writestr("checkout-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: checkout\\nVersion: 1.0\\n")
        wheel.writestr("checkout-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("checkout-1.0.dist-info/RECORD", "")
    return name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

#: Takes uv's command line, and lets pip do the work: `uv pip install --quiet --python PYTHON ...`.
STAND_IN_FOR_UV = """#!/bin/sh
echo "with uv: $*" >> "$UV_CALLS"
python=$5
shift 5
exec "$python" -m pip install --quiet "$@"
"""
FAILING_UV = "#!/bin/sh\necho 'error: this index is not for uv' >&2; exit 2\n"
ENDLESS_UV = '#!/bin/sh\ntouch "$UV_CALLS"; exec sleep 60\n'


def make_wheel(folder: Path, name: str, program: str = "", *, executable: bool = True) -> str:
    """Put a wheel into the folder. Returns the line of a lock that demands it."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    information = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        if program:
            script = zipfile.ZipInfo(f"{name}-1.0.data/scripts/{name}")
            script.external_attr = (0o100755 if executable else 0o100644) << 16
            wheel.writestr(script, program)
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{information}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


def make_checkout(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
