"""The dashboard's page and files: what is served, how long it may be kept, and what the page may do."""

import re

import pytest
from flask.testing import FlaskClient

from api.routes.dashboard import POLICY, assets

VIEWS = (
    "/dashboard",
    "/dashboard/",
    "/dashboard/chargers/dep-1",
    "/dashboard/jobs",
    "/dashboard/no/such/page",
)


@pytest.fixture
def folder(client: FlaskClient) -> str:
    """The path of the files that the page names."""
    [found] = set(re.findall(r"/dashboard/assets/[0-9a-f]{16}", client.get("/dashboard").text))
    return str(found)


@pytest.mark.parametrize("path", VIEWS)
def test_every_path_gives_the_page_without_a_token(client: FlaskClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert "<title>Chargehand</title>" in answer.text
    assert answer.headers["Cache-Control"] == "no-cache"


def test_the_page_names_only_files_that_exist(client: FlaskClient) -> None:
    named = re.findall(r'(?:src|href)="(/dashboard/assets/[^"]+)"', client.get("/dashboard").text)

    assert len(named) > 5
    assert {client.get(path).status_code for path in named} == {200}


@pytest.mark.parametrize(
    ("path", "view"),
    [
        ("/dashboard", "fleet"),
        ("/dashboard/", "fleet"),
        ("/dashboard/chargers/dep-1", "charger"),
        ("/dashboard/jobs", "jobs"),
        ("/dashboard/jobs/1", "jobs"),
        ("/dashboard/operations", "operations"),
    ],
)
def test_the_page_names_the_modules_of_its_view_so_that_they_load_at_once(
    client: FlaskClient, path: str, view: str
) -> None:
    named = re.findall(
        r'rel="modulepreload" href="/dashboard/assets/[0-9a-f]+/js/([^"]+)"', client.get(path).text
    )

    modules = {path.removeprefix("js/") for path in assets().by_path if path.startswith("js/")}
    of_view = {module for module in modules if module.startswith(f"{view}/")}
    assert of_view
    assert of_view < set(named) <= modules - {"shell/theme.js"}
    assert "client.js" in named


@pytest.mark.parametrize("path", ["/dashboard", "{folder}/js/app.js"])
def test_a_policy_forbids_foreign_scripts_and_html_from_text(
    client: FlaskClient, folder: str, path: str
) -> None:
    headers = client.get(path.format(folder=folder)).headers

    assert headers["Content-Security-Policy"] == POLICY
    for rule in ("default-src 'none'", "script-src 'self'", "connect-src 'self'", "trusted-types 'none'"):
        assert rule in POLICY
    assert "unsafe" not in POLICY
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("js/app.js", "text/javascript; charset=utf-8"),
        ("css/base.css", "text/css; charset=utf-8"),
        ("favicon.svg", "image/svg+xml"),
    ],
)
def test_a_file_may_be_kept_for_ever(client: FlaskClient, folder: str, file: str, content_type: str) -> None:
    answer = client.get(f"{folder}/{file}")

    assert answer.status_code == 200
    assert answer.content_type == content_type
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/assets/0123456789abcdef/js/app.js",  # of another release
        "{folder}/index.html",
        "{folder}/nothing.js",
        "{folder}/../../docs.html",
        "{folder}/..%2f..%2fdocs.html",
        "{folder}/js",
    ],
)
def test_what_is_no_file_of_this_version_is_not_found_and_not_kept(
    client: FlaskClient, folder: str, path: str
) -> None:
    answer = client.get(path.format(folder=folder))

    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/dashboard", "{folder}/js/app.js"])
def test_head_answers_as_get_without_the_body(client: FlaskClient, folder: str, path: str) -> None:
    path = path.format(folder=folder)

    head, whole = client.head(path), client.get(path)

    assert head.status_code == 200
    assert head.data == b""
    for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("path", ["/dashboard", "{folder}/js/app.js"])
def test_what_a_browser_has_already_is_not_sent_again(client: FlaskClient, folder: str, path: str) -> None:
    path = path.format(folder=folder)
    etag = client.get(path).headers["ETag"]

    answer = client.get(path, headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert answer.data == b""


@pytest.mark.parametrize("encoding", ["gzip", "gzip, deflate, br"])
def test_a_file_is_compressed_for_who_reads_gzip(client: FlaskClient, folder: str, encoding: str) -> None:
    plain = client.get(f"{folder}/css/parts.css")
    compressed = client.get(f"{folder}/css/parts.css", headers={"Accept-Encoding": encoding})

    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in compressed.headers["Vary"]
    assert len(compressed.data) < len(plain.data) / 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_page_takes_no_other_method(client: FlaskClient, method: str) -> None:
    assert client.open("/dashboard/jobs", method=method).status_code == 405


def test_the_hash_of_the_files_is_the_same_in_every_process() -> None:
    first = assets().version
    assets.cache_clear()

    assert assets().version == first
