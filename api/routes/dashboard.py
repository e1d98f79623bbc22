"""The dashboard's page and its files, without a token: the page signs in by itself, and uses the public API only."""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Blueprint, Response, abort, request

from api.http.document.operations import Access, Operations

operations = Operations(
    "dashboard", __name__, access=Access.PUBLIC, description="A page for people. Beyond the contract."
)
#: The views' addresses and the files, which the document does not list.
pages = Blueprint("dashboard_pages", __name__)

#: Scripts, styles and requests of this server only; no text becomes HTML or code.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
HASH_IN_INDEX = b"HASH"  # the page names its files by it
MODULES_IN_INDEX = b"<!-- MODULES -->\n"
#: The folders of each view's modules, by the first part of its address below the page's.
VIEWS = {
    "": ("js/fleet/",),
    "chargers": ("js/charger/", "js/frames/"),
    "jobs": ("js/jobs/",),
    "operations": ("js/operations/",),
}
OF_EVERY_VIEW = ("js/shell/", "js/live/")  # and the modules that lie in no folder
THEME = "js/shell/theme.js"  # no module: it runs before anything is painted
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, as it lies in the package and compressed."""

    content: bytes
    compressed: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files of the page, by their path below its folder, and the hash of all of them."""

    by_path: dict[str, Asset]
    pages: dict[str, Asset]  #: the page for each of VIEWS
    other_page: Asset  #: for every other address
    version: str


@operations.operation("GET", "/dashboard", content_type="text/html")
def dashboard() -> Response:
    """Dashboard

    The page that shows the fleet in a browser. Every path below it, but its files, gives the same page.
    """
    return view()


@pages.get("/dashboard/")
@pages.get("/dashboard/<path:path>")
def view(path: str = "") -> Response:
    """The same page: it reads the path of its address by itself."""
    found = assets()
    page = found.pages.get(path.partition("/")[0], found.other_page)
    return _response(page, found.version, "no-cache")


@pages.get("/dashboard/assets/<version>/<path:path>")
def asset(version: str, path: str) -> Response:
    """A file of this version. 404 for any other version: a page never mixes the files of two."""
    found = assets()
    file = found.by_path.get(path)
    if version != found.version or file is None:
        abort(404)
    return _response(file, found.version, FOR_EVER)


@cache
def assets() -> Assets:
    """Read once for each process: a request only takes what is here."""
    contents = dict(_contents(files("api") / "static" / "dashboard"))
    digest = sha256()
    for path, content in sorted(contents.items()):
        digest.update(f"{path} {len(content)}\n".encode() + content)
    version = digest.hexdigest()[:16]
    template = contents.pop(INDEX)

    def page(*folders: str) -> Asset:
        content = _page(template, contents, folders)
        return _asset(INDEX, content.replace(HASH_IN_INDEX, version.encode()))

    return Assets(
        {path: _asset(path, content) for path, content in contents.items()},
        {view: page(*folders) for view, folders in VIEWS.items()},
        page(),
        version,
    )


def _page(template: bytes, paths: Iterable[str], folders: tuple[str, ...]) -> bytes:
    """The page, with links that name the view's modules: a browser then fetches them all at once."""
    modules = sorted(
        path
        for path in paths
        if path.startswith("js/")
        and path != THEME
        and (path.count("/") == 1 or path.startswith((*OF_EVERY_VIEW, *folders)))
    )
    links = (
        b'<link rel="modulepreload" href="/dashboard/assets/%s/%s">\n' % (HASH_IN_INDEX, path.encode())
        for path in modules
    )
    return template.replace(MODULES_IN_INDEX, b"".join(links))


def _contents(folder: Traversable, above: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = above + entry.name
        if entry.is_dir():
            yield from _contents(entry, f"{path}/")
        elif path[path.rfind(".") :] in TYPES:
            yield path, entry.read_bytes()


def _asset(path: str, content: bytes) -> Asset:
    return Asset(content, gzip.compress(content, mtime=0), TYPES[path[path.rfind(".") :]])


def _response(file: Asset, version: str, cache_control: str) -> Response:
    compressed = request.accept_encodings["gzip"] > 0
    response = Response(file.compressed if compressed else file.content, content_type=file.content_type)
    if compressed:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    response.set_etag(version, weak=True)
    response.headers["Cache-Control"] = cache_control
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response.make_conditional(request)  # type: ignore[return-value]  # werkzeug's type is its own response
