"""One word per idea: docs/glossary.md has the words that we use, and the words that they replaced occur nowhere."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

#: Files are checked whose path begins with one of these; "" is every file of the repository.
CHECKED = ("",)
#: Files that are not checked, with the reason.
EXCEPT = {
    "LICENSE": "not our text",
    "docs/images/": "pictures",
    "requirements": "the locks: names of packages and hashes",
    "shared/migrations/versions/": "has shipped: a migration keeps the names that its databases have",
    "tests/docs/test_words.py": "the list itself",
}
#: What may stand in a line although a word of the list is in it, with the reason.
ALLOWED = {
    "CHARGER_VISITOR_": "variables of the charger that people have set",
    "visitors": "a key of a charger's settings, named after those variables",
    "link_noted_at": "a column that has shipped",
    "charger_links_to_note": "an index that has shipped",
    "chargers_leaving": "an index that has shipped",
}


def word(text: str) -> str:
    """The word by itself or as a part of a name, in any case of letters: not in "smooth" or "indeed"."""
    return rf"(?i:(?<![a-z])(?:{text})(?![a-z]))"


#: The retired words, and the word to use. A pattern by itself, case-sensitive, where the word is good English elsewhere.
RETIRED = {
    r"(?i:wish)": "request (what a client sent), desired state (the row as a worker reads it)",
    rf"\bask\(|\bask_together|\b[Aa]sked\b(?= *[=(\]:])|\basked_(by|at)\b|\bASKED\b|{word('was asked|asked (for|of)')}": (
        "record a command; requested"
    ),
    word("told|tells?|tellers?"): "applied, sent, reported, notified, shows, says",
    r"\bparts\(\)|\bParts\b(?! of)|\bapi[./]parts\b|(?<![.\w])context\(\)|process\.context\(|\bworker[./]context\b": (
        "resources(), Resources"
    ),
    r"accept_once|\bapi[./]accept(ing|ed)\b|class Accepted\b|-> Accepted\b": "submit, CommandReceipt",
    r"(?i:stumble)": "internal error, record_internal_error",
    rf"(?<![Ii]n[ _]){word('flights?')}": "coalescing, processing, dirty",
    r"\b\w*Outage\b(?!Log)|is_outage|\boutage\(": "OutageLog, is_unavailable",
    rf"\b_?looks?_|_looks?\b|\blook\(|{word('(a|an|the|each|every|next|another|older|newer|first|last|no|one) looks?')}": (
        "poll, observe, read, check, run"
    ),
    r"(?i:hungry)|\bfeed\(": "is_drained, push",
    r"\b(MOST|KEPT)(_\w+)? *[:=]|\bself\.most\b|\bmost(=|: (int|float))": "max_..., MAX_..., with what is counted",
    word("moot"): "no longer needed, superseded",
    r"(?i:forget|forgot)|\bdrop_old": "prune",
    word("put(s|ting)?[ _]aside"): "quarantine",
    r"_leaving\b|\bleaving_|\.leaving\b": "deleted",
    rf"{word('deeds?')}|\bACTS\b": "action",
    word("dear"): "expensive",
    r"(?i:visitor)": "drivers, automatic sessions",
    r"\bPlaces\b|\bapi[./]places\b|\bplaces\(": "slots",
    rf"{word('heirs?')}|\b_?stated\(|\bnoted\(|(?<![\w])patience(?!_)|\bwhom? *(=|: str)": "the plain word",
}


def files() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("the files of the repository are listed by git")
    for name in listed.stdout.splitlines():
        if name.startswith(CHECKED) and not name.startswith(tuple(EXCEPT)) and (ROOT / name).is_file():
            yield ROOT / name


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, str]]:
    """Each line of each file, after the place where it stands. The first "line" of a file is its path."""
    found = []
    for file in files():
        name = str(file.relative_to(ROOT))
        for number, line in enumerate([name, *file.read_text(errors="ignore").splitlines()]):
            for allowed in ALLOWED:
                line = line.replace(allowed, "")  # noqa: PLW2901
            found.append((f"{name}:{number}", line))
    return found


@pytest.mark.parametrize(("pattern", "use"), RETIRED.items(), ids=RETIRED.values())
def test_a_retired_word_occurs_nowhere(lines: list[tuple[str, str]], pattern: str, use: str) -> None:
    compiled = re.compile(pattern)
    hits = [f"{place}: {line.strip()[:120]}" for place, line in lines if compiled.search(line)]

    assert not hits, f"use instead: {use}\n" + "\n".join(hits)


@pytest.mark.parametrize(
    ("line", "retired"),
    [
        ("the wish of a client", True),
        ("def test_racing_wishes() -> None:", True),
        ("ask_together(wishes)", True),
        ("what was asked for", True),
        ("`delete` asks a person to confirm", False),
        ("was told", True),
        ("a smooth start, and indeed an early one", False),
        ("a statement that is in flight", False),
        ("if in_flight:", False),
        ("patch = pytest.MonkeyPatch.context()", False),
        ("one flight per charger", True),
        ("OutageLog after a long outage", False),
        ("look at the log", False),
        ("the next look", True),
    ],
)
def test_a_word_is_found_and_ordinary_english_is_not(line: str, retired: bool) -> None:
    assert any(re.search(pattern, line) for pattern in RETIRED) == retired
