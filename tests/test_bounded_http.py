"""Requests of the standard library, each with one deadline: what takes time, and what it ends."""

import socket
import time
from contextlib import contextmanager
from http.client import IncompleteRead
from threading import Event

import pytest

from ipam_core.bounded_http import (
    LongAnswerError,
    bounded_opener,
    connection_to,
    exchange,
    read_whole,
    start_of,
)
from support.servers import serving, trickle, trickling

SLOW_S = 0.3


@contextmanager
def ends_at_the_deadline():
    before = time.monotonic()
    with pytest.raises(TimeoutError):
        yield
    assert SLOW_S * 0.9 <= time.monotonic() - before < 4


def ask(connection, path="/", *, within_s=SLOW_S, most_bytes=100):
    return exchange(
        connection,
        "GET",
        path,
        headers={},
        deadline_s=time.monotonic() + within_s,
        most_bytes=most_bytes,
    )


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("through", ["connection", "opener"])
def test_an_answer_in_small_parts_ends_at_the_deadline(headers, through):
    with trickling(headers=headers) as url, ends_at_the_deadline():
        if through == "connection":
            ask(connection_to(url, timeout_s=SLOW_S), most_bytes=1 << 20)
        else:
            with bounded_opener().open(url, timeout=SLOW_S) as reply:
                read_whole(reply, 1 << 20)


def test_a_handshake_that_nobody_answers_ends_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with ends_at_the_deadline():
            ask(connection_to(url, timeout_s=60))


def test_each_request_of_a_connection_has_its_own_deadline():
    ending = Event()

    def answer(request):
        if request.path == "/slow":
            trickle(request, ending)
        else:
            time.sleep(SLOW_S / 2)
            request.reply(200, request.path.encode())

    with serving(answer) as url:
        connection = connection_to(url, timeout_s=SLOW_S)
        for number in range(3):  # longer together than one of them may take
            assert ask(connection, f"/{number}", within_s=5) == (200, f"/{number}".encode())
        with ends_at_the_deadline():
            ask(connection, "/slow", most_bytes=1 << 20)
        ending.set()
        assert ask(connection, "/after", within_s=5) == (200, b"/after")
        connection.close()


@pytest.mark.parametrize(("n_bytes", "is_long"), [(100, False), (101, True)])
def test_an_answer_is_read_up_to_its_bound_and_the_next_is_its_own(n_bytes, is_long):
    def answer(request):
        request.reply(200, b"x" * n_bytes if request.path == "/" else b"next")

    with serving(answer) as url:
        connection = connection_to(url, timeout_s=5)
        if is_long:
            with pytest.raises(LongAnswerError):
                ask(connection, within_s=5)
        else:
            assert ask(connection, within_s=5) == (200, b"x" * n_bytes)
        assert ask(connection, "/next", within_s=5) == (200, b"next")
        connection.close()


def test_an_answer_that_is_cut_off_is_none_but_of_an_error_its_start():
    def cut(request):
        request.reply(200, b"half", length=50)
        request.close_connection = True

    with serving(cut) as url:
        with pytest.raises(IncompleteRead):
            ask(connection_to(url, timeout_s=5), within_s=5)
        with bounded_opener().open(url, timeout=5) as reply:
            assert start_of(reply) == b"half"


def test_what_an_error_says_too_slowly_is_left():
    with trickling() as url, bounded_opener().open(url, timeout=SLOW_S) as reply:
        assert start_of(reply) == b""


def test_a_server_by_an_ipv6_address_is_asked_at_its_port():
    """Without a port http.client takes the last group of the address for it."""
    connection = connection_to("http://[fd00:ec2::254]", timeout_s=1)
    assert (connection.host, connection.port) == ("fd00:ec2::254", 80)
    assert connection_to("https://[::1]:8443", timeout_s=1).port == 8443
