"""Files that are dropped on the page, as the server takes them; test_doctor_page.py drops some."""

import gc
import json

import pytest

pytest.importorskip("nicegui", reason="the extra web is not installed")

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from ipam_core.errors import InputError
from ipam_core.web.drop import DROPS, MOST_LISTED, Zone, add_drops, zone_html
from ipam_core.web.guard import MOST_DROPPED, Guard
from support.loops import run_apart


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    add_drops(app)
    return AsyncClient(transport=ASGITransport(Guard(app)), base_url="http://localhost")


class Taken:
    """A handler that keeps what it was given."""

    def __init__(self):
        self.files = []

    async def __call__(self, files):
        self.streams = [each.stream for each in files]
        self.files = [(each.name, each.stream.read()) for each in files]


async def sent(client, zone, *files, header=None, body=None):
    """Drop files as the page's script does."""
    listed = [[name, len(content)] for name, content in files]
    header = json.dumps(listed).encode() if header is None else header
    body = b"".join(content for _, content in files) if body is None else body
    answer = await client.post(f"{DROPS}{zone.identifier}", content=header + b"\n" + body)
    return answer.status_code, answer.text


def send(*args, **options):
    return run_apart(sent(*args, **options))


def test_files_come_whole_and_in_order_of_their_names(client):
    taken = Taken()
    zone = Zone(handler=taken)
    large = bytes(range(256)) * 20_000
    given = (("node/b.log", large), ("a.json", b"{}\n{}"), ("node/a b\u202e\ud55c.log", b""))
    assert send(client, zone, *given) == (204, "")
    assert taken.files == sorted(given)
    assert all(stream.closed for stream in taken.streams)


@pytest.mark.parametrize(
    ("header", "body", "why"),
    [
        (b"", b"", "no list of files in the request"),
        (b"[" * 100_000, b"", "no list of files in the request"),
        (b"{", b"", "no list of files in the request"),
        (b"[1]", b"", "no list of files in the request"),
        (b"[[1, 2]]", b"", "1 of 2 bytes: no name and size of a file"),
        (b'[["a", -1]]', b"", "'a' of -1 bytes: no name and size of a file"),
        (b'[["a", true]]', b"", "'a' of True bytes: no name and size of a file"),
        (b'[["", 1]]', b"x", "'' of 1 bytes: no name and size of a file"),
        (b"[]", b"", "0 files: at least 1, at most 2"),
        (b'[["a", 0], ["b", 0], ["c", 0]]', b"", "3 files: at least 1, at most 2"),
        (b'[["a", 4000001]]', b"", "4 MB in all: at most 4 MB"),
        (b'[["a", 3]]', b"xy", "'a': cut off"),
        (b"x" * (MOST_LISTED + 1), b"", "no list of files in the request"),
        (b"[]", b"x" * (4_000_000 + MOST_LISTED), "4 MB in all: at most 4 MB"),
    ],
)
def test_what_is_no_drop_is_refused_in_words(client, header, body, why):
    taken = Taken()
    zone = Zone(handler=taken, most_bytes=4_000_000, most_files=2)
    assert send(client, zone, header=header, body=body) == (200, why)
    assert taken.files == []
    assert send(client, zone, ("a", b"x")) == (204, ""), "the next drop is taken"


def test_an_error_of_the_handler_is_one_line(client):
    async def refuse(files):
        raise InputError(f"{files[0].name}: not recognised")

    zone = Zone(handler=refuse)
    assert send(client, zone, ("<b>", b"")) == (200, "<b>: not recognised")


def test_one_drop_at_a_time(client):
    inner = []

    async def drop_again(files):
        inner.append(await sent(client, zone, ("b", b"")))

    zone = Zone(handler=drop_again)
    assert send(client, zone, ("a", b"")) == (204, "")
    assert inner == [(200, "other files are being read; try again in a moment")]


def test_a_page_that_is_gone_takes_no_file(client):
    zone = Zone(handler=Taken())
    assert send(client, zone, ("a", b""))[0] == 204
    gone = WithIdentifier(zone.identifier)
    del zone
    gc.collect()
    assert send(client, gone, ("a", b""))[0] == 404


class WithIdentifier:
    """What is left of a zone: the address that its page sends files to."""

    def __init__(self, identifier):
        self.identifier = identifier


def test_more_than_a_drop_may_have_is_refused_before_it_is_read(client):
    async def answer():
        length = {"content-length": str(MOST_DROPPED + MOST_LISTED + 1)}
        return await client.post(f"{DROPS}x", headers=length, content=b"")

    assert run_apart(answer()).status_code == 413


def test_a_zone_states_its_bounds():
    zone = Zone(handler=Taken(), most_bytes=64_000_000, most_files=20)
    assert "Files: at most 20, 64 MB in all." in zone_html(zone, lang="en", folders=False)
    html = zone_html(zone, lang="ko", folders=True)
    assert "최대 64 MB, 파일 20개." in html
    assert "webkitdirectory" in html
