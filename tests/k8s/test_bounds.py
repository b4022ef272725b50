"""Answers that are slow, cut, long, or without an end: what is asked ends, and in bounds."""

import asyncio
import json
import ssl
import time
from contextlib import contextmanager, suppress
from threading import Event

import pytest
import trustme

from ipam_core.errors import CloudError, DeniedError, UnreachableError
from ipam_core.k8s import account, connection
from ipam_core.k8s.account import HOST, PORT, AccountReader
from ipam_core.k8s.client import PODS
from support.kube import asked
from support.servers import serving, trickle

SLOW_S = 0.4
"""So long a request may take here."""
PATIENT_S = 5.0


class Api:
    """Answers each request by a part of its path."""

    def __init__(self):
        self.answers = {"/version": lambda request: request.reply(200, b"{}")}
        self.n_asked = 0
        self.ending = Event()

    def __call__(self, request):
        self.n_asked += 1
        for part, answer in self.answers.items():
            if part in request.path:
                answer(request)
                return
        request.reply(404, b"{}")

    def trickled(self, request, **how):
        trickle(request, self.ending, **how)


@pytest.fixture
def api():
    found = Api()
    yield found
    found.ending.set()


@pytest.fixture
def kubeconfig(api, tmp_path):
    with serving(api) as url:
        yield write_kubeconfig(tmp_path / "kubeconfig", url)
        api.ending.set()


def write_kubeconfig(path, url):
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": {"token": "the-token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(found), "utf-8")
    return path


@contextmanager
def ends_soon():
    began_s = time.monotonic()
    yield
    assert time.monotonic() - began_s < PATIENT_S - 1


# --- through kr8s -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_in_small_parts_is_given_up(api, kubeconfig, status):
    api.answers["/api/v1/pods"] = lambda request: api.trickled(request, status=status)
    with ends_soon(), pytest.raises(UnreachableError, match="list pods: Timeout: no answer"):
        asked(kubeconfig, lambda client: client.items(PODS), timeout_s=SLOW_S)


def test_a_refusal_of_a_watch_in_small_parts_is_given_up(api, kubeconfig):
    api.answers["/api/v1/pods"] = lambda request: api.trickled(request, status=500)

    async def act(client):
        return [change async for change in client.watch(PODS, "1")]

    with ends_soon(), pytest.raises(UnreachableError, match="watch pods: Timeout"):
        asked(kubeconfig, act, timeout_s=SLOW_S)


@pytest.mark.parametrize("how", ["silent", "small parts"])
def test_a_watch_that_does_not_begin_is_given_up(api, kubeconfig, how):
    """Its silence of minutes is for events: a server sends the headers at once."""

    def answer(request):
        if how == "silent":
            api.ending.wait(PATIENT_S)
            request.close_connection = True
        else:
            api.trickled(request, headers=True)

    async def act(client):
        return [change async for change in client.watch(PODS, "1")]

    api.answers["/api/v1/pods"] = answer
    with ends_soon(), pytest.raises(UnreachableError, match="watch pods: Timeout"):
        asked(kubeconfig, act, timeout_s=SLOW_S)


def test_a_watch_that_began_may_be_silent_for_longer(api, kubeconfig):
    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.flush()
        api.ending.wait(2 * SLOW_S)
        pod = {"metadata": {"name": "late", "resourceVersion": "2"}}
        request.wfile.write(json.dumps({"type": "ADDED", "object": pod}).encode() + b"\n")
        request.close_connection = True

    async def act(client):
        return [change async for change in client.watch(PODS, "1")]

    api.answers["/api/v1/pods"] = answer
    (change,) = asked(kubeconfig, act, timeout_s=SLOW_S)
    assert "late" in str(change)


def test_an_answer_that_is_too_long_is_not_read_on(api, kubeconfig, monkeypatch):
    monkeypatch.setattr("ipam_core.k8s.client.MOST_POD_BYTES", 1 << 20)
    monkeypatch.setattr("ipam_core.k8s.client.MOST_LOG_BYTES", 2 << 20)
    api.answers["/pods/"] = lambda request: request.reply(200, bytes((2 << 20) + 1))

    async def page(client):
        return await client.through_pod("kube-system", "aws-node-x", 61678, "metrics")

    async def log(client):
        return await client.log("kube-system", "aws-node-x", "aws-node")

    with pytest.raises(CloudError, match=r"metrics: TooLarge: more than 1 MiB"):
        asked(kubeconfig, page)
    with pytest.raises(CloudError, match=r"log: TooLarge: more than 2 MiB"):
        asked(kubeconfig, log)


def test_a_page_of_a_list_is_bounded_too(api, kubeconfig, monkeypatch):
    monkeypatch.setattr(connection.Connection.get, "__kwdefaults__", {"most_bytes": 1 << 20})
    api.answers["/api/v1/pods"] = lambda request: request.reply(200, bytes((1 << 20) + 1))
    with pytest.raises(CloudError, match="list pods: TooLarge: more than 1 MiB") as caught:
        asked(kubeconfig, lambda client: client.items(PODS))
    assert type(caught.value) is CloudError  # which no reader asks again


def test_of_a_refusal_only_the_start_is_read(api, kubeconfig):
    def refuse(request):
        request.reply(403, b"no " * (1 << 16), length=1 << 30)
        request.close_connection = True

    api.answers["/api/v1/pods"] = refuse
    with pytest.raises(DeniedError, match="list pods: HTTP 403: no no no"):
        asked(kubeconfig, lambda client: client.items(PODS))


# --- the lines of a watch -----------------------------------------------------------------------


class Chunks:
    """An answer of httpx, as far as `_lines` asks it."""

    def __init__(self, chunks):
        self.chunks = chunks

    async def aiter_bytes(self):
        for chunk in self.chunks:
            yield chunk


def lines_of(chunks):
    async def read():
        return [line async for line in connection._lines("watch pods", Chunks(chunks))]

    return asyncio.run(read())


def test_lines_are_found_wherever_they_are_cut():
    text = b"first\n\nsecond\nthird"
    for size in range(1, len(text) + 1):
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        assert lines_of(chunks) == [b"first", b"second", b"third"]


def test_a_long_line_is_read_in_linear_time():
    chunk = bytes(1 << 10)
    began_s = time.process_time()
    (line,) = lines_of([chunk] * (12 << 10))  # 12 MiB: joined at each chunk it would copy 72 GiB
    assert len(line) == 12 << 20
    assert time.process_time() - began_s < 2


def test_a_line_without_an_end_is_not_read_on():
    def endless():
        while True:
            yield bytes(1 << 20)

    with pytest.raises(CloudError, match="watch pods: TooLarge: more than 16 MiB"):
        lines_of(endless())


# --- by the service account ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def reader(api, authority, tmp_path):
    """Return how to make readers by a service account, over TLS."""
    (tmp_path / "token").write_text("secret-token\n")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(api, tls=context) as url:
        host, port = url.removeprefix("https://").split(":")

        def make(timeout_s=PATIENT_S):
            return AccountReader(
                folder=tmp_path, timeout_s=timeout_s, variables={HOST: host, PORT: port}
            )

        yield make
        api.ending.set()


@pytest.mark.parametrize("headers", [True, False])
def test_the_account_gives_up_an_answer_in_small_parts(api, reader, headers):
    api.answers["/slow"] = lambda request: api.trickled(request, headers=headers)
    with ends_soon(), reader(SLOW_S) as server, pytest.raises(UnreachableError, match="Timeout"):
        server.get_json("/slow", call="get slow")


def test_after_a_failed_request_the_next_has_its_own_answer(api, reader):
    def late(request):
        time.sleep(2 * SLOW_S)
        with suppress(OSError):
            request.reply(200, b'{"of": "the first"}')

    api.answers["/late"] = late
    api.answers["/next"] = lambda request: request.reply(200, b'{"of": "the second"}')
    with reader(SLOW_S) as server:
        with pytest.raises(UnreachableError, match="Timeout"):
            server.get_json("/late", call="get late")
        server._deadline_s += PATIENT_S
        assert server.get_json("/next", call="get next") == {"of": "the second"}


def test_the_account_asks_on_one_connection_and_sees_a_cut(api, reader):
    def cut(request):
        request.reply(200, b'{"of": 1}', length=100)
        request.close_connection = True

    ports = []

    def whole(request):
        ports.append(request.client_address)
        request.reply(200, b"{}")

    api.answers |= {"/cut": cut, "/whole": whole}
    with reader() as server:
        for _ in range(2):
            server.get_json("/whole", call="get whole")
        assert len(set(ports)) == 1
        with pytest.raises(UnreachableError, match="get cut: Unreachable: IncompleteRead"):
            server.get_json("/cut", call="get cut")
        assert server.get_json("/whole", call="get whole") == {}


def test_the_account_reads_no_more_than_it_may(api, reader, monkeypatch):
    monkeypatch.setattr(account, "MOST_BYTES", 1 << 20)
    api.answers["/large"] = lambda request: request.reply(200, bytes((1 << 20) + 1))
    api.answers["/next"] = lambda request: request.reply(200, b"{}")
    with reader() as server:
        with pytest.raises(CloudError, match="get large: TooLarge: more than 1 MiB"):
            server.get_json("/large", call="get large")
        assert server.get_json("/next", call="get next") == {}
