"""Reads the code blocks of the project's pages, and the comment in front of a block that says how to run it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]

#: In front of a block that needs more than a laptop: `<!-- not run: needs Docker -->`.
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>[^>]+) -->")
#: In front of a block that a reader ends by Ctrl-C after it has printed something: `<!-- until Ctrl-C, after: is ready -->`.
UNTIL_CTRL_C = re.compile(r"<!-- until Ctrl-C, after: (?P<printed>[^>]+) -->")
#: In front of a block that the reader saves: `<!-- file: test_csms.py -->`.
FILE = re.compile(r"<!-- file: (?P<name>[\w./-]+) -->")

SHELLS = {"sh", "bash"}
#: Blocks that are shown and not run: answers, output, data.
SHOWN = {"text", "json", "yaml", "http"}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int  #: of the fence, from 1
    language: str
    code: str
    not_run: str = ""  #: why the tests do not run it
    ended_after: str = ""  #: the reader ends it by Ctrl-C once it has printed this
    file: str = ""  #: the name under which the reader saves it

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """The README, then the pages of docs/ in the order of its index; one that the index does not have comes last."""
    index = ROOT / "docs" / "README.md"
    linked = [ROOT / "docs" / name for name in re.findall(r"\]\((\w[\w-]*\.md)[)#]", index.read_text())]
    others = sorted((ROOT / "docs").glob("*.md"))
    return list(dict.fromkeys([ROOT / "README.md", index, *linked, *others]))


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks in the order of the page. Raises ValueError for a block without a language or with an unknown comment."""
    name = str(page.relative_to(ROOT))
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    for before, token in pairwise([None, *tokens]):
        assert token is not None
        if token.type == "code_block":
            raise ValueError(f"{name}:{_line(token)}: an indented block has no language: use a fence")
        if token.type == "fence":
            comment = before.content.strip() if before and before.type == "html_block" else ""
            yield _block(name, _line(token), token.info.strip(), token.content, comment)


def _block(page: str, line: int, language: str, code: str, comment: str) -> Block:
    not_run, file, ended = (each.fullmatch(comment) for each in (NOT_RUN, FILE, UNTIL_CTRL_C))
    block = Block(
        page,
        line,
        language,
        code,
        not_run=not_run["reason"] if not_run else "",
        ended_after=ended["printed"] if ended else "",
        file=file["name"] if file else "",
    )
    if comment.startswith("<!--") and not (not_run or file or ended):
        raise ValueError(f"{block}: unknown comment {comment}")
    if language not in SHELLS | SHOWN and not block.file and not block.not_run:
        raise ValueError(
            f"{block}: the language must be sh for a block that is run, one of {sorted(SHOWN)} for one that is shown"
        )
    return block


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0
