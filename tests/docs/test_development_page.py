"""docs/development.md names files and folders that exist, and every folder of the packages."""

import re

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "development.md").read_text()
#: Packages whose folders are listed one by one.
LISTED = ("api", "shared", "worker")


def test_every_path_that_the_page_names_exists() -> None:
    named = re.findall(r"`([\w.-]+(?:/[\w.-]+)+)`", PAGE)

    assert len(named) > 20
    assert [path for path in named if not ((ROOT / path).exists() or (ROOT / f"{path}.py").exists())] == []


def test_the_layout_lists_every_folder() -> None:
    [layout] = re.findall(r"^## Layout$(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    listed = set(re.findall(r"`([\w/.]+)`", "".join(re.findall(r"^\|([^|]+)\|", layout, re.MULTILINE))))
    folders = {
        f"{package}/{folder.parent.name}"
        for package in LISTED
        for folder in (ROOT / package).glob("*/__init__.py")
    }

    assert folders - listed == set()
