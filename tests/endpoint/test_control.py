"""The control endpoint: time, faults and EC2's behaviour, changed while the VPC runs."""

import json
import socket
import threading

import pytest

from ipam_core.endpoint.client import ask
from ipam_core.endpoint.server import VpcServer
from ipam_core.errors import InputError, IpamError
from support.vpc import http_request, query

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server():
    with VpcServer(held=True) as server:
        yield server


def posted(server, path, body, headers=JSON):
    status, _, reply = http_request(server.endpoint_url, "POST", path, body, headers)
    return status, json.loads(reply)


def code(server, action="DescribeVpcs"):
    status, root = query(server.endpoint_url, action)
    return root.findtext("Errors/Error/Code") if status != 200 else "done"


def test_the_clock_is_moved_held_and_run(server):
    assert ask(server.endpoint_url, "time")["time"] == "2026-01-01T00:00:00.000Z"
    moved = ask(server.endpoint_url, "time", {"move": "90s"})
    assert (moved["time"], moved["since_start_s"]) == ("2026-01-01T00:01:30.000Z", 90)
    assert moved["held"]
    ran = ask(server.endpoint_url, "time", {"speed": 60})
    assert (ran["held"], ran["speed"]) == (False, 60)
    assert ask(server.endpoint_url, "time", {"hold": True})["held"]
    assert not ask(server.endpoint_url, "time", {"hold": False})["held"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "one of move, hold and speed"),
        ({"move": "1s", "hold": True}, "one of move, hold and speed"),
        ({"move": "-1s"}, "a duration such as"),
        ({"move": True}, "a duration such as"),
        *(
            ({"speed": speed}, "time: speed is above 0 and at most 1000000, not ")
            for speed in (0, -1, 1_000_001, True, "2", None, [1])
        ),
        ({"hold": 1}, "true or false"),
        ({"jump": "1s"}, "unknown key 'jump'"),
    ],
)
def test_a_wrong_time_is_refused_in_one_line(server, body, words):
    with pytest.raises(InputError, match=words):
        ask(server.endpoint_url, "time", body)
    assert ask(server.endpoint_url, "time")["since_start_s"] == 0


def test_faults_are_added_listed_and_cleared(server):
    fault = {"api": "DescribeVpcs", "code": "InternalError", "times": 2}
    assert ask(server.endpoint_url, "faults", fault) == {"number": 1, **fault}
    assert code(server) == "InternalError"
    other = {"api": "DescribeSubnets", "code": "UnauthorizedOperation", "probability": 0.5,
             "message": "no"}  # fmt: skip
    ask(server.endpoint_url, "faults", other)
    assert ask(server.endpoint_url, "faults")["faults"] == [
        {"number": 1, **fault, "times": 1},
        {"number": 2, **other},
    ]
    left = ask(server.endpoint_url, "faults/1", method="DELETE")["faults"]
    assert [each["number"] for each in left] == [2]
    assert code(server) == "done"
    assert ask(server.endpoint_url, "faults", method="DELETE") == {"faults": []}


def test_the_window_of_a_fault_counts_from_when_it_is_added(server):
    server.move(100)
    fault = {"api": "DescribeVpcs", "code": "InternalError", "from": "10s", "until": "20s"}
    added = ask(server.endpoint_url, "faults", fault)
    assert (added["from"], added["until"]) == (110, 120)  # since the start, as a file's
    found = []
    for _ in range(4):
        found.append(code(server))
        server.move(8)
    assert found == ["done", "done", "InternalError", "done"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"api": "DescribeVpcs"}, "code is missing"),
        ({"api": "DescribeCars", "code": "X"}, "api is one of AssignIpv6Addresses, "),
        ({"api": "DescribeVpcs", "code": ""}, "code is a text"),
        ({"api": "DescribeVpcs", "code": "X", "times": 0}, "an integer >= 1"),
        ({"api": "DescribeVpcs", "code": "X", "probability": 2}, "from 0 to 1"),
        ({"api": "DescribeVpcs", "code": "X", "chance": 1}, "unknown key 'chance'"),
        (
            {"api": "DescribeVpcs", "code": "X", "from": "5m", "until": "2m"},
            "fault: until must be later than from",
        ),
    ],
)
def test_a_wrong_fault_is_refused_in_one_line(server, body, words):
    with pytest.raises(InputError, match=words):
        ask(server.endpoint_url, "faults", body)
    assert ask(server.endpoint_url, "faults") == {"faults": []}


@pytest.mark.parametrize("number", ["7", "x", "0", "9" * 30])
def test_a_fault_that_is_not_there_cannot_be_cleared(server, number):
    with pytest.raises(InputError, match="there are none"):
        ask(server.endpoint_url, f"faults/{number}", method="DELETE")


def test_latency_throttling_faults_and_lag_are_changed_as_a_file_says(server):
    changed = {
        "throttling": {"DescribeVpcs": {"burst": 1, "per_second": 0}},
        "faults": [{"api": "DescribeSubnets", "code": "InternalError"}],
        "latency": {"DescribeVpcs": {"median": "250ms"}},
        "metadata_lag": "7s",
    }
    assert len(ask(server.endpoint_url, "ec2", changed)["faults"]) == 1
    assert [code(server), code(server)] == ["done", "RequestLimitExceeded"]
    assert code(server, "DescribeSubnets") == "InternalError"
    latency, lag_ns = server.do(
        lambda served: (served.gate.latencies["DescribeVpcs"], served.metadata.lag_ns)
    )
    assert (latency.median_s, lag_ns) == (0.25, 7_000_000_000)
    ask(server.endpoint_url, "ec2", {"throttling": False})
    assert code(server) == "done"
    with pytest.raises(InputError, match="one of AssignIpv6Addresses"):
        ask(server.endpoint_url, "ec2", {"latency": {"DescribeCars": {"median": 1}}})


def test_where_no_file_was_given_the_state_cannot_be_saved(server):
    with pytest.raises(InputError, match="no file was given for the state: --state FILE"):
        ask(server.endpoint_url, "state", {})


def test_a_state_that_cannot_be_written_is_told_and_the_vpc_goes_on(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    with VpcServer(held=True, state=folder / "state.json") as server:
        assert ask(server.endpoint_url, "state", {})["saved"].endswith("state.json")
        (folder / "state.json").unlink()
        folder.rmdir()
        status, reply = posted(server, "/ipam-core/state", "{}")
        assert (status, "No such file" in reply["error"]) == (500, True)
        assert code(server) == "done"
        folder.mkdir()


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "words"),
    [
        ("/ipam-core/time", "{", JSON, 400, "the body is not JSON"),
        ("/ipam-core/time", "[]", JSON, 400, "is a mapping"),
        ("/ipam-core/time", b"\xff", JSON, 400, "not UTF-8 at byte 0"),
        ("/ipam-core/time", '{"move": "1s"}', {}, 400, "content type is application/json"),
        ("/ipam-core/time", '{"move": 1, "move": 2}', JSON, 400, "twice"),
        ("/ipam-core/time", "[" * 100_000, JSON, 400, "nested"),
        ("/ipam-core/nothing", "{}", JSON, 404, "there is no POST"),
        ("/ipam-core/faults/1", "{}", JSON, 404, "there is no POST"),
        ("/ipam-core/", "{}", JSON, 404, "there is no POST"),
    ],
)
def test_what_is_no_request_of_the_endpoint_is_told_in_json(
    server, path, body, headers, status, words
):
    found, reply = posted(server, path, body, headers)
    assert found == status
    assert words in reply["error"]
    assert "\n" not in reply["error"]


def _greet(listening):
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"SSH-2.0-other\r\n")
        connection.recv(1000)


def test_asking_what_is_no_served_vpc_is_an_error_that_says_so():
    with pytest.raises(InputError, match="--endpoint-url is http://HOST:PORT, not 'nowhere'"):
        ask("nowhere", "time")
    with socket.create_server(("127.0.0.1", 0)) as other:  # speaks first, and no HTTP
        threading.Thread(target=_greet, args=(other,), daemon=True).start()
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(IpamError, match=f"{url} is no served VPC"):
            ask(url, "time")
    with VpcServer(held=True) as server:
        with pytest.raises(IpamError, match="is no served VPC"):
            ask(server.imds_url, "time")
        url = server.endpoint_url
    with pytest.raises(IpamError, match=f"nothing answers at {url}: "):
        ask(url, "time")
