"""The live page's files, out of the installed package `dashboards`: read once, served from memory.

Nothing but what is there by name: no folder is listed, no path leads out. A browser asks each time whether a file is
still the same (`no-cache` and an ETag), so that a new version of the page is a new page.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet.api.answers import problem

PACKAGE, FOLDER, FIRST = "dashboards", "live", "index.html"
# By a name's ending; what has another is not served.
TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is served."""

    body: bytes
    kind: str
    etag: str


def page_files() -> dict[str, File]:
    """Every file of the page, by its path below `/`; empty where this installation has no page."""
    folder = files(PACKAGE) / FOLDER
    return dict(_walk(folder, "")) if folder.is_dir() else {}


def _walk(folder: Traversable, below: str) -> Iterator[tuple[str, File]]:
    for entry in folder.iterdir():
        path = f"{below}{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, f"{path}/")
        elif (kind := TYPES.get(entry.name.rpartition(".")[2])) is not None:
            body = entry.read_bytes()
            yield path, File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def page_route(served: Mapping[str, File]) -> Route:
    """`/` and everything below it that is a file of the page."""

    async def serve(request: Request) -> Response:
        found = served.get(request.path_params["path"] or FIRST)
        if found is None:
            return problem(404, "not_found", "There is nothing here.")
        headers = {"Cache-Control": "no-cache", "ETag": found.etag}
        asked = request.headers.get("if-none-match", "")
        if any(tag.strip().removeprefix("W/") in {found.etag, "*"} for tag in asked.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(found.body, media_type=None, headers={**headers, "Content-Type": found.kind})

    return Route("/{path:path}", serve, methods=["GET"], include_in_schema=False)
