"""Rules for the page's files that no browser checks: no text becomes HTML or code, nothing comes from elsewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "api" / "static" / "dashboard"
MAX_LINES = 300
MAX_FILES = 14  # in a folder

#: What must not occur, with the reason. Comments count too: nobody copies from there.
FORBIDDEN = {
    r"\b(inner|outer)HTML\b|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML": "HTML from text",
    r"\beval\(|\bnew Function\b|\bFunction\(|setTimeout\(\s*[\"'`]|setInterval\(\s*[\"'`]": "code from text",
    r"\bstyle\s*=\s*[\"'`\\]|setAttribute\(\s*[\"']style|\bcssText\b": "inline style: the policy refuses it",
    r"(?<![\w:])https?://(?!www\.w3\.org/2000/svg)|[\"'`(]//\w": "an address of another host",
    r"\bdocument\.cookie\b|\bEventSource\(|\bXMLHttpRequest\b": "another way to send the token",
    r"(?<![.\w])(alert|confirm|prompt)\(": "a dialog that blocks the page",
    r"localStorage[.\w(]*[\"'`\w.]*token": "a token that outlives the tab",
    r"\sjavascript:|\son(click|load|error)\s*=\s*[\"']": "code in an attribute",
}
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())


@pytest.mark.parametrize(("pattern", "reason"), FORBIDDEN.items(), ids=FORBIDDEN.values())
def test_a_forbidden_construct_occurs_nowhere(pattern: str, reason: str) -> None:
    hits = [
        f"{path.relative_to(FOLDER)}:{number}: {line.strip()}"
        for path in FILES
        if path.suffix != ".svg"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]

    assert not hits, reason


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("node.innerHTML = name;", True),
        ("eval(text)", True),
        ('<b style="color: red">', True),
        ('fetch("https://elsewhere.test/")', True),
        ('import("//elsewhere.test/x.js")', True),
        ("if (confirm(question)) go();", True),
        ('localStorage.setItem("chargehand.token", token)', True),
        ('const SVG = "http://www.w3.org/2000/svg";', False),
        ("style: { width: percent }", False),
        ("await confirmDialog(question)", False),
        ('sessionStorage.setItem("chargehand.token", token)', False),
        ('localStorage.setItem("chargehand.theme", theme)', False),
        ("// a comment", False),
        ("evaluate(text)", False),
    ],
)
def test_a_rule_finds_what_it_is_for_and_nothing_else(line: str, *, found: bool) -> None:
    assert any(re.search(pattern, line) for pattern in FORBIDDEN) == found


def test_no_file_is_too_long_to_read_at_once() -> None:
    long = {path.name: lines for path in FILES if (lines := len(path.read_bytes().splitlines())) > MAX_LINES}

    assert not long


def test_no_folder_has_too_many_files() -> None:
    folders = {path.parent for path in FILES}

    assert not [folder for folder in folders if sum(path.parent == folder for path in FILES) > MAX_FILES]


def test_every_module_says_what_it_holds() -> None:
    assert not [
        path.name for path in FILES if path.suffix == ".js" and not path.read_text().startswith("// ")
    ]


def test_every_style_sheet_is_linked() -> None:
    page = (FOLDER / "index.html").read_text(encoding="utf-8")

    assert not [path.name for path in FILES if path.suffix == ".css" and f"/css/{path.name}" not in page]


def test_the_package_carries_every_file() -> None:
    """The patterns of package data know only the kinds of files that the API serves."""
    served = {".css", ".html", ".js", ".svg"}

    assert {path.suffix for path in FILES} <= served
