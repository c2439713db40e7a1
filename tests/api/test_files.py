"""The page's files: right types, asked for each time, nothing beside them."""

import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

import dashboards
from fleet.api.files import TYPES, File, page_files, page_route

LIVE = Path(dashboards.__file__).parent / "live"


def client() -> httpx.AsyncClient:
    app = Starlette(routes=[page_route(page_files())])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def test_every_file_of_the_page_is_served_as_it_is_with_its_type() -> None:
    on_disk = {
        path.relative_to(LIVE).as_posix(): path.read_bytes()
        for path in LIVE.rglob("*")
        if path.is_file() and path.suffix.removeprefix(".") in TYPES
    }
    assert "index.html" in on_disk
    async with client() as browser:
        for path, body in on_disk.items():
            answer = await browser.get(f"/{path}")
            assert (answer.status_code, answer.content) == (200, body), path
            assert answer.headers["content-type"] == TYPES[path.rpartition(".")[2]], path
            assert answer.headers["cache-control"] == "no-cache"
        assert (await browser.get("/")).content == on_disk["index.html"]


async def test_a_module_has_a_type_that_browsers_run() -> None:
    async with client() as browser:
        modules = [path for path in page_files() if path.endswith(".js")]
        assert modules
        for path in modules:
            assert (await browser.get(f"/{path}")).headers["content-type"].startswith("text/javascript")


async def test_what_has_not_changed_is_not_sent_again() -> None:
    async with client() as browser:
        tag = (await browser.get("/index.html")).headers["etag"]
        for asked in (tag, f'"other", W/{tag}', "*"):
            again = await browser.get("/index.html", headers={"If-None-Match": asked})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await browser.get("/index.html", headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "path", ["/core", "/core/", "/..%2f__init__.py", "/%2e%2e/runbook.md", "/nothing.js", "/index.html/"]
)
async def test_nothing_else_is_there(path: str) -> None:
    async with client() as browser:
        answer = await browser.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_only_reading_is_possible() -> None:
    async with client() as browser:
        assert (await browser.post("/index.html")).status_code == 405
        head = await browser.head("/index.html")
        assert (head.status_code, head.content) == (200, b"")


def test_two_versions_of_a_file_have_two_tags() -> None:
    first, *_ = page_files().values()
    assert File(first.body + b"x", first.kind, first.etag) != first
    assert len({file.etag for file in page_files().values()}) == len({file.body for file in page_files().values()})


def test_an_installation_has_them_too(tmp_path: Path) -> None:
    """The wheel, built as an installer builds it, has every file that is served from here."""
    root = LIVE.parent.parent
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as installed:
        names = set(installed.namelist())
        assert {f"dashboards/live/{path}" for path in page_files()} <= names
        assert "fleet/web.py" in names
