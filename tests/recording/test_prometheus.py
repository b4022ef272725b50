"""Lives of pods out of Prometheus: which there are, when they begin and end, and faults."""

import time

import pytest

from ipam_core.errors import DeniedError, InputError, IpamError, UnreachableError
from ipam_core.recording.prometheus import PodSeries
from support.prometheus import Pods, has_real_prometheus, real_prometheus, small_prometheus
from support.servers import serving, trickling

T0 = 1_770_000_000.0
"""A time on a whole 15 s: what is scraped is at such times here."""
HOURS = 3600.0


def some_pods():
    pods = Pods()
    pods.add("stays", "node-a", T0 - 50_000, (T0 - 600, T0 + 3 * HOURS))
    pods.add("short", "node-a", T0 + 100, (T0 + 105, T0 + 150))
    pods.add("done", "node-b", T0 + 200, (T0 + 210, T0 + 2 * HOURS), completed=T0 + 900)
    pods.add("deleted", "node-b", T0 + 300, (T0 + 315, T0 + 1200), due=T0 + 1212)
    pods.add("host", "node-a", T0 + 300, (T0 + 315, T0 + 1200), host_network="true")
    pods.add("old-host", "node-a", T0 + 300, (T0 + 315, T0 + 900), ip="10.0.0.1", host_network="")
    # It waits for a node from 400 on, and has one from 1000 on.
    pods.add("waits", "", T0 + 400, (T0 + 405, T0 + 990), ip="")
    pods.add("waits", "node-c", T0 + 400, (T0 + 1005, T0 + 3 * HOURS))
    # A pod of a StatefulSet, and the next one of its name.
    pods.add("db-0", "node-a", T0 + 60, (T0 + 60, T0 + 600), uid="one")
    pods.add("db-0", "node-b", T0 + 630, (T0 + 630, T0 + 5000), uid="two")
    pods.add("before", "node-a", T0 - 9000, (T0 - 9000, T0 - 4000))
    pods.add("never", "", T0 + 500, (T0 + 510, T0 + 600), ip="")
    return pods


EXPECTED = {
    ("default/stays", "node-a", -50_000, None),
    ("default/short", "node-a", 100, 180),
    ("default/done", "node-b", 200, 900),
    ("default/deleted", "node-b", 300, 1212),
    ("default/waits", "node-c", 1020, None),
    ("default/db-0", "node-a", 60, 630),
    ("default/db-0", "node-b", 630, 5010),
}
"""Seconds from T0. What is not in Prometheus is right to the step, 30 s."""


def read(url, **options):
    given = {"from_s": T0, "until_s": T0 + 2 * HOURS, "pause": lambda _: None} | options
    series = PodSeries(url, **given)
    series.read()
    return series


def relative(series):
    return {
        (life.pod, life.node, life.start_s - T0, None if life.end_s is None else life.end_s - T0)
        for life in series.lives()
    }


def near(found, expected, by):
    """Return whether lives are the same, but for `by` seconds at an end that is not known."""
    if len(found) != len(expected):
        return False
    return all(
        one[:2] == other[:2]
        and abs(one[2] - other[2]) <= by
        and (one[3] is None) == (other[3] is None)
        and abs((one[3] or 0) - (other[3] or 0)) <= by
        for one, other in zip(sorted(found, key=str), sorted(expected, key=str), strict=True)
    )


def test_every_pod_with_an_address_of_its_own_has_its_life():
    with small_prometheus(some_pods()) as server:
        series = read(server.url)
    assert near(relative(series), EXPECTED, by=30)
    exact = {life[0]: life for life in relative(series) if life[0] != "default/db-0"}
    assert exact["default/stays"][2:] == (-50_000, None)
    assert exact["default/done"][2:] == (200, 900)  # its containers had ended then
    assert exact["default/deleted"][2:] == (300, 1212)  # it was to be gone by then


@pytest.mark.skipif(not has_real_prometheus(), reason="no prometheus and promtool here")
def test_the_real_prometheus_says_the_same(tmp_path):
    with real_prometheus(some_pods(), tmp_path) as url:
        series = read(url)
        # Samples out of a file have no stale markers: a series is seen for 5 minutes more.
        assert near(relative(series), EXPECTED, by=330)
        assert len(relative(read(url, matchers='pod="db-0"'))) == 2
        with pytest.raises(InputError, match=r"--prometheus: .*parse error"):
            read(url, matchers="pod=")
    assert series.n_requests == 8


def test_time_is_read_in_pages_and_one_that_is_too_large_is_halved():
    with small_prometheus(some_pods()) as server:
        whole = read(server.url)
        assert [float(one["end"]) - T0 for one in server.requests[::4]] == [3600, 7200]
        server.most_samples = 300
        server.requests.clear()
        halved = read(server.url)
        assert len(server.requests) > 16
        server.most_samples = None
        small = read(server.url, most_bytes=4000)
    assert relative(halved) == relative(whole) == relative(small)


def test_no_query_asks_for_more_points_than_prometheus_gives():
    with small_prometheus(Pods()) as server:
        read(server.url, step_s=0.1, until_s=T0 + 4000)
        for asked in server.requests:
            points = (float(asked["end"]) - float(asked["start"])) / float(asked["step"])
            assert points <= 11_000


def test_a_page_that_is_too_large_even_for_one_step_is_said():
    with small_prometheus(some_pods()) as server:
        server.most_samples = 0
        with pytest.raises(InputError, match=r"too many samples.*in 30 s alone.*--matchers"):
            read(server.url)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, DeniedError, "Prometheus: 401: no: are the credentials right, and not expired"),
        (403, DeniedError, "403"),
        (400, InputError, "--prometheus: no"),
        (404, IpamError, "is no Prometheus"),
    ],
)
def test_a_refusal_is_one_line_and_not_tried_again(status, kind, said):
    with small_prometheus(some_pods()) as server:
        server.refusals = [(status, "no")]
        with pytest.raises(kind, match=said) as caught:
            read(server.url)
        assert len(server.requests) == 1
    assert "\n" not in str(caught.value)


def test_a_server_that_is_busy_is_asked_again_and_one_that_is_down_is_said():
    with small_prometheus(some_pods()) as server:
        server.refusals = [(503, "starting"), (429, "slower")]
        assert near(relative(read(server.url)), EXPECTED, by=30)
        server.requests.clear()
        server.after = 5  # the second page's
        server.refusals = [(503, "down")] * 3
        series = PodSeries(server.url, from_s=T0, until_s=T0 + 7200, pause=lambda _: None)
        with pytest.raises(UnreachableError, match=r"Prometheus: 503: .*: down"):
            series.read()
        url = server.url
    # What was read stays, and up to where.
    assert series.read_to_s == T0 + 3600
    assert len(relative(series)) == 7
    with pytest.raises(UnreachableError, match="refused"):
        read(url)


def test_an_answer_that_is_cut_off_is_asked_for_again():
    """It was taken for no JSON, and its server for no Prometheus."""
    with small_prometheus(some_pods()) as server:
        server.n_cut = 2
        assert near(relative(read(server.url)), EXPECTED, by=30)
        server.n_cut = 9
        with pytest.raises(UnreachableError, match="IncompleteRead"):
            read(server.url)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": 3}', b'{"data": {}}', b"1" * 9999])
def test_what_is_no_prometheus_is_said(body):
    no_prometheus = pytest.raises(IpamError, match="is no Prometheus")
    with serving(lambda request: request.reply(200, body)) as url, no_prometheus:
        read(url)


def test_credentials_are_sent_and_never_shown():
    with small_prometheus(some_pods()) as server:
        read(server.url, token="secret")
        assert server.headers[-1]["Authorization"] == "Bearer secret"
        url = server.url.replace("http://", "http://me:s3cret@")
        read(url)
        assert server.headers[-1]["Authorization"] == "Basic bWU6czNjcmV0"
        server.refusals = [(401, "no")]
        with pytest.raises(DeniedError) as caught:
            read(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ({"headers": True}, UnreachableError, "Unreachable: .*: timed out"),
        ({}, InputError, "--prometheus: no whole answer in 0.1 s, in 30 s alone"),
        ({"status": 503}, UnreachableError, "503: .*: Service Unavailable"),
    ],
    ids=["headers", "body", "refusal"],
)
def test_an_answer_in_small_parts_is_given_up(how, kind, said):
    """Each part came in time, so it was read for ever. A body that is slow may be too large."""
    before = time.monotonic()
    with trickling(**how) as url, pytest.raises(kind, match=said):
        read(url, from_s=T0, until_s=T0 + 30, timeout_s=0.1)
    assert time.monotonic() - before < 5


def test_a_redirect_is_not_followed():
    """The credentials are for one server."""
    with small_prometheus(some_pods()) as other:
        moved = [("Location", f"{other.url}/api/v1/query_range")]
        with (
            serving(lambda request: request.reply(302, b"", headers=moved)) as url,
            pytest.raises(InputError, match="--prometheus: Found"),
        ):
            read(url, token="secret")
        assert other.requests == []


@pytest.mark.parametrize("url", ["ftp://x", "prometheus:9090", "http://"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(InputError, match="--prometheus is http://HOST:PORT"):
        PodSeries(url, from_s=0, until_s=1)
