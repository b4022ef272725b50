"""`ipam-core vpc`: what it prints, how it ends, and what changes a VPC that runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipam_core.cli._app import run
from ipam_core.endpoint.server import VpcServer
from support.python import Process
from support.vpc import http_request, query

pytest.importorskip("boto3")
MAIN = "from ipam_core.cli import main; main()"


class Served:
    """`ipam-core vpc serve` in a process of its own."""

    def __init__(self, *arguments):
        self.process = Process(
            *("-c", MAIN, "vpc", "serve", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
        )

    def line(self):
        """Return the next line that it prints: they come at once, through a pipe too."""
        return self.process.stdout.readline().rstrip("\n")

    def end(self, number):
        """Send a signal, and return its exit status and what else it printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def test_it_prints_each_address_at_once_and_ends_cleanly_with_its_state_saved(tmp_path):
    state = tmp_path / "state.json"
    with Served("--held", "--state", state) as served:
        what, ec2 = served.line().rsplit(" ", 1)
        assert what == "EC2"
        what, shared = served.line().rsplit(" ", 1)
        assert what == "instance metadata of any node"
        what, own = served.line().rsplit(" ", 1)
        instance = what.split()[3]
        assert what == f"instance metadata of {instance} (nodes)"
        assert query(ec2, "DescribeVpcs")[0] == 200
        for url in (own, shared):
            answer = http_request(url, "GET", "/latest/meta-data/instance-id")
            assert (answer[0], answer[2].decode()) == (200, instance)
        assert served.end(signal.SIGTERM) == (0, "", "")
    assert json.loads(state.read_text())["format"] == "ipam-core served vpc"
    with Served("--held", "--state", state, "--json", "--imds-port", "0") as again:
        found = json.loads(again.line())["addresses"]
        assert [each["what"] for each in found] == ["EC2", *["instance metadata"] * 2]
        assert found[2]["instance"] == instance
        # A node that is launched is printed when it is there.
        url = found[0]["url"]
        _, root = query(url, "DescribeSubnets")
        launch = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large",
                  "SubnetId": root.findtext("subnetSet/item/subnetId")}  # fmt: skip
        _, root = query(url, "RunInstances", **launch)
        [new] = json.loads(again.line())["addresses"]
        assert new["instance"] == root.findtext("instancesSet/item/instanceId")
        assert again.end(signal.SIGINT) == (130, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_trail_that_cannot_be_written_is_told_once_and_calls_go_on():
    with Served("--held", "--trail", "/dev/full") as served:
        url = served.line().rpartition(" ")[2]
        served.line()
        served.line()
        assert [query(url, "DescribeVpcs")[0] for _ in range(2)] == [200, 200]
        status, _, err = served.end(signal.SIGTERM)
    assert status == 0
    assert err == (
        "ipam-core: warning: the trail /dev/full is not complete:"
        " [Errno 28] No space left on device\n"
    )


def test_a_fleets_file_is_served_to_others_with_warnings_and_calls_do_not_hold_up_its_end(tmp_path):
    file = tmp_path / "fleet.yaml"
    file.write_text(
        "duration: 10m\nnodes: [{instance_type: m5.large, count: 1}]\nworkloads: []\n"
        "ec2: {latency: {DescribeVpcs: {median: 1h}}}\n"
    )
    with Served(file, "--host", "0.0.0.0", "--imds", "shared") as served:
        url = served.line().split()[-1]
        assert url.startswith("http://0.0.0.0:")
        with Process("-c", CALL, url) as caller:
            time.sleep(0.5)
            before = time.monotonic()
            status, _, err = served.end(signal.SIGTERM)
            assert (status, time.monotonic() - before < 5) == (0, True)
            caller.wait(timeout=10)
    *unused, warning = err.splitlines()
    assert unused == [
        f"ipam-core: {file}: {key} is for simulations and is not served"
        for key in ("duration", "workloads")
    ]
    assert "0.0.0.0 is not loopback" in warning


def test_a_vpc_that_cannot_be_served_is_one_line(tmp_path, capsys):
    """What the file's other keys are for is said once it is served."""
    file, state = tmp_path / "fleet.yaml", tmp_path / "state"
    file.write_text("duration: 10m\nnodes: [{instance_type: m5.large, count: 1}]\n")
    state.write_text("no state")
    assert run(["vpc", "serve", str(file), "--host", "0.0.0.0", "--state", str(state)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(state) in line


CALL = """
import http.client, sys
host, port = sys.argv[1].removeprefix("http://").split(":")
connection = http.client.HTTPConnection(host, int(port), timeout=10)
connection.request("GET", "/?Action=DescribeVpcs&Version=2016-11-15")
try:
    connection.getresponse()
except OSError:
    pass
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.yaml"], "no.yaml: No such file"),
        (["wrong.yaml"], "wrong.yaml: VPC: unknown key 'subnet'"),
        (["--state", "wrong.yaml"], "wrong.yaml: no state of a VPC"),
        (["--state", "cut.json"], "cut.json: damaged: "),
        (["--state", "no/where.json"], "no: No such file"),
        (["--trail", "no/where.json"], "no/where.json: No such file"),
        (["--trail", "wrong.yaml"], "wrong.yaml: there is a file that is no trail"),
        (["--imds", "some"], "--imds is each or shared, not 'some'"),
        (["--held", "--speed", "2"], "--held and --speed exclude each other"),
        (["--speed", "0"], "a speed is above 0"),
        (["--port", "99999"], "65535"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid:0 cannot be listened on"),
        (["--host", "203.0.113.1"], "203.0.113.1:0 cannot be listened on"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_status_2(
    tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text("subnet: []\n")
    (tmp_path / "cut.json").write_text('{"format": "ipam-core served vpc", "version": 1}')
    assert run(["vpc", "serve", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    *warnings, line = said.err.splitlines()
    assert words in line
    assert all("is not loopback" in each for each in warnings)


def test_nobody_reads_what_it_prints():
    reader, writer = os.pipe()
    os.close(reader)
    process = Process("-c", MAIN, "vpc", "serve", stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (141, "")


# --- while it runs ------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    with VpcServer(held=True) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", server.endpoint_url)
        yield server


def said(capsys, *arguments):
    status = run(["vpc", *arguments])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return out.splitlines()


def test_the_clock_is_shown_moved_held_and_run(server, capsys):
    assert said(capsys, "time") == ["2026-01-01T00:00:00.000Z, 0 s since the start, held"]
    assert said(capsys, "time", "+90s") == ["2026-01-01T00:01:30.000Z, 90 s since the start, held"]
    assert said(capsys, "time", "--speed", "60")[0].endswith("60 s a second")
    assert said(capsys, "time", "--hold")[0].endswith("held")
    assert json.loads("\n".join(said(capsys, "time", "--json")))["held"] is True


def test_faults_are_added_listed_and_cleared(server, capsys):
    line = "fault 1: AssignPrivateIpAddresses InsufficientCidrBlocks, 3 times"
    assert said(capsys, "fault", "add", "AssignPrivateIpAddresses", "InsufficientCidrBlocks",
                "--times", "3") == [line]  # fmt: skip
    server.move(5)
    other = said(capsys, "fault", "add", "CreateTags", "InternalError", "--probability", "0.5",
                 "--from", "10s", "--until", "1m", "--message", "no")  # fmt: skip
    assert other == ["fault 2: CreateTags InternalError, probability 0.5, from 15 s, until 65 s"]
    assert said(capsys, "fault", "list") == [line, *other]
    assert said(capsys, "fault", "clear", "1") == other
    found = json.loads("\n".join(said(capsys, "fault", "list", "--json")))
    assert [each["message"] for each in found["faults"]] == ["no"]
    assert said(capsys, "fault", "clear") == ["no faults"]
    once = said(capsys, "fault", "add", "CreateTags", "InternalError", "--times", "1")
    assert once == ["fault 3: CreateTags InternalError, once"]


def test_addresses_time_and_faults_are_shown(server, capsys):
    first, *_, clock, faults = said(capsys, "show")
    assert first == f"EC2 {server.endpoint_url}"
    assert clock.startswith("2026-01-01")
    assert faults == "no faults"
    assert len(json.loads("\n".join(said(capsys, "show", "--json")))["addresses"]) == 3


def test_a_file_changes_ec2(server, capsys, tmp_path):
    file = tmp_path / "slow.yaml"
    file.write_text(
        "ec2: {throttling: {DescribeVpcs: {burst: 0, per_second: 0}},"
        " faults: [{api: CreateTags, code: InternalError}]}\n"
    )
    assert said(capsys, "change", str(file)) == ["fault 1: CreateTags InternalError"]
    assert query(server.endpoint_url, "DescribeVpcs")[0] == 503


def test_the_state_is_saved_now(tmp_path, capsys, monkeypatch):
    path = tmp_path / "state.json"
    with VpcServer(held=True, state=path) as server:
        url = ["--endpoint-url", server.endpoint_url]
        assert " ".join(said(capsys, "save", *url)).replace(" ", "") == f"savedto{path}"
        assert path.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["time", "60s"], "moved by +DURATION such as +60s, not '60s'"),
        (["time", "+soon"], "a duration such as"),
        (["time", "+1s", "--hold"], "give one of +DURATION, --hold and --speed"),
        (["time", "--speed", "-1"], "speed is above 0 and at most 1000000, not -1.0"),
        (["time", "--speed", "1e9"], "speed is above 0 and at most 1000000, not 1000000000.0"),
        (["time", "--speed", "nan"], "speed is above 0 and at most 1000000, not nan"),
        (["fault", "add", "DescribeCars", "X"], "'DescribeCars'"),
        (["fault", "clear", "7"], "no fault '7'; there are none"),
        (["change", "none.yaml"], "none.yaml"),
        (["change", "{file}"], "a mapping with `ec2` is needed"),
        (["save"], "no file was given for the state: --state FILE"),
        (["show", "--endpoint-url", "nowhere"], "is http://HOST:PORT, not 'nowhere'"),
        (["show", "--endpoint-url", "http://["], "is http://HOST:PORT, not 'http://['"),
        (["show", "--endpoint-url", "http://a:b"], "is http://HOST:PORT, not 'http://a:b'"),
        (["show", "--endpoint-url", "http://a b"], "is http://HOST:PORT, not 'http://a b'"),
        (["show", "--endpoint-url", "http://127.0.0.1:9"], "nothing answers at"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(server, capsys, tmp_path, arguments, words):
    file = tmp_path / "odd.yaml"
    file.write_text("subnets: []\n")
    assert run(["vpc", *(each.format(file=file) for each in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize("arguments", [["show"], ["change", "{file}"]])
def test_without_an_address_it_is_asked_for(capsys, monkeypatch, tmp_path, arguments):
    monkeypatch.delenv("AWS_ENDPOINT_URL_EC2", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    file = tmp_path / "ec2.yaml"
    file.write_text("ec2: {latency: false}\n")
    assert run(["vpc", *(each.format(file=file) for each in arguments)]) == 2
    err = capsys.readouterr().err
    assert "--endpoint-url URL is needed" in err
    assert str(file) not in err  # nothing is wrong with it


def test_what_is_wrong_in_a_file_of_changes_is_said_of_the_file(server, capsys, tmp_path):
    file = tmp_path / "ec2.yaml"
    file.write_text("ec2: {latency: often}\n")
    assert run(["vpc", "change", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"ipam-core: {file}: ")
    assert run(["vpc", "change", str(file), "--endpoint-url", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("ipam-core: --endpoint-url is http")


def test_without_its_extra_it_names_the_extra_and_others_can_still_be_asked():
    script = (
        "import sys; sys.modules['aiohttp'] = sys.modules['botocore'] = None\n"
        "from ipam_core.cli._app import run\n"
        "print(run(['vpc', 'serve']))\n"
        "print(run(['vpc', 'time', '--endpoint-url', 'http://127.0.0.1:9']))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "2\n2\n"
    first, second = ran.stderr.splitlines()
    assert "pip install 'ipam-core[vpc]'" in first
    assert "nothing answers at" in second
