"""How commands end when somebody ends them: Ctrl-C, a reader that leaves, a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.commands import INTERRUPTIBLE
from support.python import FORKS, Process

ROOT = Path(__file__).parents[2]


def start(*arguments, **streams):
    return Process(
        *("-c", INTERRUPTIBLE, *arguments),
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        cwd=ROOT,
        text=True,
        start_new_session=True,
    )


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            found += map(int, (task / "children").read_text().split())
    return found


def wait_for(condition, what):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def is_ended_at_once(process, *, to_all):
    """Interrupt a command with processes of its own: it ends with 130, and so do they."""
    at_work = children(process.pid)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    before = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    assert time.monotonic() - before < 5
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in at_work), "left behind")


IN_C = """\
duration: 20d
nodes: [{instance_type: m5.large, count: 400}]
workloads: [{kind: churn, pods_per_node: 10, lifetime: 5m}]
"""
"""A fleet that takes half a minute, all of it in C."""
IN_PYTHON = """\
duration: 2d
nodes: [{instance_type: m5.large, count: 60}]
workloads:
  - {kind: churn, pods_per_node: 10, lifetime: 5m}
  - {kind: rolling_update, pods: 60, at: 1h}
"""
"""One that takes a minute, and each try of a search seconds."""


@pytest.fixture
def fleet(tmp_path, request):
    file = tmp_path / "fleet.yaml"
    file.write_text(getattr(request, "param", IN_PYTHON))
    return file


def working(pid, used_s=1.0):
    """Return whether a process has used so much time that it has loaded and plays."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > used_s


def test_an_interrupted_simulation_on_processes_ends_at_once_without_a_result(tmp_path):
    file = tmp_path / "fleet.yaml"
    regions = ("eu-west-1", "us-east-1")
    subnets = [f"{{id: {name}, cidr: 10.{n}.0.0/16, region: {name}}}"
               for n, name in enumerate(regions)]  # fmt: skip
    nodes = [f"{{name: {name}, instance_type: m5.large, count: 400, subnets: [{name}]}}"
             for name in regions]  # fmt: skip
    file.write_text(
        f"duration: 60d\nsubnets: [{', '.join(subnets)}]\nnodes: [{', '.join(nodes)}]\n"
        "workloads: [{kind: churn, pods_per_node: 10, lifetime: 5m}]\n"
    )
    process = start("simulate", file, "--jobs", 2)
    wait_for(lambda: any(map(working, children(process.pid))), "no processes at work")
    is_ended_at_once(process, to_all=True)


@pytest.mark.parametrize("to_all", [True, False], ids=["from a terminal", "to the parent alone"])
def test_an_interrupted_search_on_processes_ends_at_once_without_a_result(tmp_path, to_all):
    file = tmp_path / "fleet.yaml"
    file.write_text((ROOT / "examples" / "workload.yaml").read_text("utf-8"))
    process = start("tune", file, "--jobs", 2)
    wait_for(lambda: len(children(process.pid)) >= 2, "no processes")
    time.sleep(0.3)
    is_ended_at_once(process, to_all=to_all)


@pytest.mark.parametrize(
    ("arguments", "fleet"),
    [
        (["simulate"], IN_C),
        (["simulate", "--json"], IN_PYTHON),
        (["tune", "--jobs", "1"], IN_PYTHON),
        (["tune", "--json", "--jobs", "1"], IN_C),
    ],
    ids=["simulate in C", "simulate --json", "tune", "tune --json in C"],
    indirect=["fleet"],
)
def test_an_interrupted_run_ends_at_once_without_a_result(fleet, arguments):
    process = start(*arguments, fleet)
    # A fork has little left to load.
    wait_for(lambda: working(process.pid, 0.5 if FORKS else 1.0), "does not work")
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    assert time.monotonic() - before < 5


@pytest.fixture
def scattered(tmp_path):
    """A subnet whose nodes' addresses lie anywhere: the best drains take minutes to find."""
    chance = random.Random(1)
    offsets = chance.sample(range(4, (1 << 14) - 1), 6000)
    addresses = iter([f"10.0.{offset >> 8}.{offset & 255}" for offset in offsets])
    tag = {"Key": "node.k8s.amazonaws.com/instance_id", "Value": "i"}
    interfaces = [
        {
            "NetworkInterfaceId": f"eni-{node}-{device}",
            "SubnetId": "subnet-1",
            "InterfaceType": "interface",
            "PrivateIpAddresses": [
                {"Primary": number == 0, "PrivateIpAddress": next(addresses)}
                for number in range(10)
            ],
            "Attachment": {"InstanceId": f"i-{node}", "DeviceIndex": device},
            "TagSet": [tag],
        }
        for node in range(300)
        for device in range(2)
    ]
    subnet = {"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/18", "AvailableIpAddressCount": 10379}
    file = tmp_path / "subnet.json"
    file.write_text(json.dumps({"Subnets": [subnet], "NetworkInterfaces": interfaces}))
    return file


@pytest.mark.parametrize("to_all", [True, False], ids=["from a terminal", "to the parent alone"])
def test_a_solver_at_work_is_interrupted_at_once(scattered, to_all):
    pytest.importorskip("scipy")
    process = start("subnet", "report", scattered, "--win", 60, "--solve-seconds", 600)
    wait_for(lambda: any(map(working, children(process.pid))), "no solver at work")
    is_ended_at_once(process, to_all=to_all)


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300", "3601", "0", "-1"])
def test_a_search_for_drains_has_an_end(capsys, seconds):
    from ipam_core.cli._app import run

    assert run(["subnet", "report", "x.json", f"--solve-seconds={seconds}"]) == 2
    assert capsys.readouterr().err == f"ipam-core: --solve-seconds {float(seconds)}: 0.1 to 3600\n"


def test_an_interrupt_while_the_command_is_loaded_is_no_traceback():
    """Of what comes before, the start of Python, its own handler tells."""
    loading = (
        "import importlib.abc, sys\n"
        "class Interrupts(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'ipam_core.cli._app': raise KeyboardInterrupt\n"
        "from ipam_core.cli import main\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", loading], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize("verb", ["simulate", "check"])
def test_a_long_scenario_shows_how_far_it_is(tmp_path, monkeypatch, capsys, verb):
    from ipam_core.cli import _out
    from ipam_core.cli._app import run

    file = tmp_path / "long.json"
    steps = [{"op": "boot"}, {"op": "run", "seconds": 20_000}, {"op": "run", "seconds": 20_000}]
    scenario = {"id": "a", "instance_type": "m5.large", "steps": steps}
    file.write_text(json.dumps([scenario, scenario]))
    shares = []

    class Told:
        def __init__(self, what, n_bytes=None):
            pass

        def __enter__(self):
            return shares.append

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(_out, "progress_of", Told)
    assert run([verb, str(file)]) == 0
    capsys.readouterr()
    assert len(shares) >= 16  # each 1000 pool steps, and each step, of both
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.1
    assert shares[-1] == 1


def test_what_is_printed_on_a_terminal_is_not_behind_the_bar(tmp_path):
    file = tmp_path / "many.json"
    steps = [{"op": "boot"}, {"op": "run", "seconds": 20_000}]
    names = ["one", "two", "three"]
    file.write_text(
        json.dumps([{"id": name, "instance_type": "m5.large", "steps": steps} for name in names])
    )
    terminal, end = pty.openpty()
    process = start("check", file, stdout=end, stderr=end, env=os.environ | {"TERM": "xterm"})
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):  # nobody writes any more
        while piece := os.read(terminal, 4096):
            shown += piece
    os.close(terminal)
    assert process.wait(60) == 0
    lines = shown.decode().replace("\r\n", "\n").split("\n")
    assert any("scenarios" in line for line in lines)
    for name in names:
        (line,) = (line for line in lines if f"ok\x1b[0m    {name}  " in line)
        assert "scenarios" not in line.rpartition("\x1b[2K")[2]


@pytest.mark.parametrize(
    "arguments",
    [["instances"], ["instances", "--json"], ["--help"], ["simulate", "examples/stall.yaml"]],
    ids=" ".join,
)
def test_a_reader_that_leaves_ends_it_quietly(arguments):
    read, write = os.pipe()
    process = start(*arguments, stdout=write)
    os.close(write)
    os.close(read)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    [["instances"], ["instances", "--json", "m5.large"], ["explain", "m5.large"], ["--help"]],
    ids=" ".join,
)
def test_a_full_disk_is_one_line_and_status_2(arguments, unbuffered):
    """Where the output is kept back until the end, too: it was written again after that line."""
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        process = start(*arguments, stdout=full, env=environment)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, "ipam-core: [Errno 28] No space left on device\n")


def test_processes_that_the_system_kills_again_and_again_are_one_line_and_status_2(tmp_path):
    process = start("tune", ROOT / "examples" / "workload.yaml", "--jobs", 2)
    while process.poll() is None:
        for child in children(process.pid):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.kill(child, signal.SIGKILL)
        time.sleep(0.05)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == (
        "ipam-core: processes were killed again and again, perhaps because memory ran out\n"
    )
