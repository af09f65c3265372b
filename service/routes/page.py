"""``GET /``: the page for browsers, and the modules that it consists of.

Its files are read once, at the start, from the package's own folder: what is asked for is looked up
in a table, so no request's path ever becomes a file name. They are public, since they hold nothing
but code; all that the page shows it asks for with a token, where the server wants one.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

INDEX = "page/index.html"

_TYPES = {"js": "text/javascript", "css": "text/css", "html": "text/html", "svg": "image/svg+xml"}

HEADERS = {
    # code, pictures and connections of this server and of nobody else; no frames, no forms
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(self), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # asked again each time, so that a page never mixes the modules of two versions
    "Cache-Control": "no-cache",
}


class PageFile(NamedTuple):
    """One file of the page.

    Attributes:
        content: Its bytes.
        media_type: What they are.
        tag: What a browser that has them already shows (``ETag``).
    """

    content: bytes
    media_type: str
    tag: str


def read_files() -> dict[str, PageFile]:
    """Read the page's files; return them by the path of their request."""
    # found as a resource, not imported: the service knows no client's code
    folder = files("clients") / "web"
    found = {f"/web/{name}": _read(file) for name, file in _walk(folder)}
    return {"/": found[f"/web/{INDEX}"]} | found


def router_of(found: Mapping[str, PageFile]) -> APIRouter:
    """Return the routes of the page's files."""
    router = APIRouter()

    async def show(request: Request) -> Response:
        """Answer with a file, or tell a browser that it has it already."""
        file = found[request.url.path]
        headers = HEADERS | {"ETag": file.tag}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    for path in found:
        router.add_api_route(path, show, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _walk(folder: Traversable, above: str = "") -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _walk(each, f"{above}{each.name}/")
        elif each.name.rpartition(".")[2] in _TYPES:
            found.append((above + each.name, each))
    return found


def _read(file: Traversable) -> PageFile:
    content = file.read_bytes()
    media_type = _TYPES[file.name.rpartition(".")[2]]
    return PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
