"""Every code block of README.md and docs/ runs as it stands, in the order of its page, against one `make run`."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from embedded.ports import free_port
from embedded.stack.joining import belongs_to_a_stack
from tests.docs.pages import ROOT, SHELLS, Block, blocks, pages
from tests.docs.reader import Failed, Reader, check_out, until_ctrl_c, write_variables
from tests.support.waiting import wait_until

README = ROOT / "README.md"
#: The block that runs while the tests read the pages.
MAKE_RUN = "make run"
READY_WITHIN_S = 60

#: The reasons of the blocks that need more than Python and make, by page. A new one must be added here.
NOT_RUN = {
    "README.md": ["the tests would start themselves", "needs Docker"],
    "docs/aws.md": ["needs AWS"] * 5,
    "docs/charger-api.md": ["needs a charger that goes on running"],
    "docs/ci.md": [
        "it changes an environment that is not Chargehand's own",
        *["needs GitHub"] * 2,
        *["needs Docker"] * 2,
    ],
    "docs/compatibility.md": ["it raises"],
    "docs/control-link.md": ["it runs until SIGTERM"],
    "docs/how-to.md": ["needs Docker"],
}

#: Variables of the tests' own process that a reader's terminal does not have, besides those of a stack.
NOT_INHERITED = ("PYTEST_", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Running:
    """A checkout in which the `make run` of the README is running."""

    checkout: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with TemporaryDirectory(prefix="chargehand-docs-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        checkout, output = check_out(folder), folder / "run.out"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not (belongs_to_a_stack(name) or name.startswith(NOT_INHERITED))
        }
        environment = kept | {f"{part}PORT": str(free_port()) for part in ("", "CSMS_", "FLOWER_")}
        [block] = [block for block in blocks(README) if block.code.startswith(MAKE_RUN)]
        variables = write_variables(folder / "variables", checkout, environment)
        with until_ctrl_c(block, variables, output) as make:
            wait_until(
                lambda: block.ended_after in output.read_text() or make.poll() is not None, READY_WITHIN_S
            )
            assert block.ended_after in output.read_text(), output.read_text()
            yield Running(checkout, environment)


def read(page: Path, running: Running, scratch: Path) -> list[str]:
    """Run the blocks of the page and return what each prints."""
    reader = Reader(running.checkout, scratch, running.environment)
    return [reader.run(block) for block in blocks(page) if is_run(block)]


def is_run(block: Block) -> bool:
    ours = block.code.startswith(MAKE_RUN)
    return not block.not_run and not ours and (block.language in SHELLS or bool(block.file))


@pytest.mark.parametrize("page", [page for page in pages() if page != README], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_its_order(page: Path, running: Running, tmp_path: Path) -> None:
    read(page, running, tmp_path)


def test_the_readme_leads_to_a_charger_that_its_csms_accepted(running: Running, tmp_path: Path) -> None:
    created, frames, token, *others = read(README, running, tmp_path)

    assert "accepted" in created
    assert "BootNotification" in frames
    assert token.count(".") == 2
    assert all("accepted" in printed for printed in others)


def test_what_is_not_run_is_known() -> None:
    found: dict[str, list[str]] = {}
    for page in pages():
        for block in blocks(page):
            if block.not_run:
                found.setdefault(block.page, []).append(block.not_run)

    assert found == NOT_RUN


def test_make_installs_nothing_where_the_blocks_run(tmp_path: Path) -> None:
    """Otherwise it would install into the environment of the tests themselves."""
    checkout = check_out(tmp_path)

    assert not (checkout / ".venv").is_symlink()
    would_run = subprocess.run(
        ["make", "--dry-run", "install", "install-dev"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "scripts.install" not in would_run.stdout


def test_a_block_that_fails_is_seen(tmp_path: Path) -> None:
    reader = Reader(tmp_path, tmp_path / "scratch", dict(os.environ))
    for code in ("false\necho done", "no-such-command-at-all; echo done", "true"):
        with pytest.raises(Failed):
            reader.run(Block("page.md", 1, "sh", code))


def test_a_variable_lives_on_and_reaches_a_program_only_if_it_is_exported(tmp_path: Path) -> None:
    reader = Reader(tmp_path, tmp_path / "scratch", {"PATH": os.environ["PATH"], "GONE": "soon"})

    reader.run(Block("page.md", 1, "sh", "NUMBER=4; export TEXT='two\nlines'; unset GONE; echo set"))

    assert reader.run(Block("page.md", 1, "sh", 'echo "$NUMBER $TEXT"')) == "4 two\nlines\n"
    assert reader.run(Block("page.md", 1, "sh", "env | grep -cE '^(NUMBER|GONE)=' || true")) == "0\n"
    assert reader.run(Block("page.md", 1, "sh", "env | grep '^TEXT='")) == "TEXT=two\n"
