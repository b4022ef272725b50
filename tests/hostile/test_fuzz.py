"""Every reader under documents changed at random.

Whatever a file holds: no traceback, no status but 0, 1 and 2, no line that is too long, no
escape, bounded time. And no wrong success: a document of another meaning is read as another,
or refused.
"""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import time
import zlib
from contextlib import closing
from dataclasses import fields

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from ipam_core import Checkpoint, DataStore, Sandbox
from ipam_core.checkpoint.entry import Entry, with_checksum
from ipam_core.cli._app import run
from ipam_core.cli._out import LONGEST_ERROR
from ipam_core.errors import CheckpointError, InputError, SnapshotError
from support.file_readers import (
    AGENTS_FILE,
    ENIS,
    EVENTS,
    FLEET,
    LOG,
    MANIFEST,
    POD_EVENTS,
    SCENARIO,
    SUBNETS,
    TARGETS,
    TRAIL,
)
from support.mutation import change, edited, edits, mutated, mutations, places
from support.soak import examples

LONGEST_S = 20
"""Far more than any of these documents takes, and far less than what runs away."""
fuzz = settings(
    max_examples=examples(32, 10_000),
    suppress_health_check=list(HealthCheck),
    deadline=None,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def call(*arguments):
    """Run a command; return its status and what it wrote. Anything that it raises, is raised."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run([str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def checked(arguments):
    """Run a command, check what every run must keep, and return its status and output."""
    started = time.process_time()
    status, out, err = call(*arguments)
    assert time.process_time() - started < LONGEST_S
    assert status in (0, 1, 2)
    assert (out + err).replace("\n", "").isprintable()
    assert all(len(line) <= LONGEST_ERROR for line in err.splitlines())
    if status == 2:
        assert out == ""
        assert len(err.splitlines()) == 1
        assert err.startswith("ipam-core: ")
    elif "--json" in arguments:
        json.loads(out, parse_constant=no_constant)
    elif "export" not in arguments:
        assert all(cell_len(line) <= 80 for line in out.splitlines())
    return status, out


def read_by(target, folder, content):
    """Write a target's file and what is next to it; return what its call gives."""
    for name in ("fresh.db", "fresh.db-wal", "fresh.db.lock"):
        (folder / name).unlink(missing_ok=True)
    for name, beside in target.beside.items():
        (folder / name).write_bytes(beside)
    file = folder / target.name
    file.write_bytes(content)
    placed = {"FILE": file, "fleet.json": folder / "fleet.json", "fresh.db": folder / "fresh.db"}
    return checked([placed.get(word, word) for word in target.call])


@pytest.mark.parametrize("name", TARGETS)
def test_a_document_is_read_as_it_is(folder, name):
    target = TARGETS[name]
    status, out = read_by(target, folder, target.written(target.document))
    assert status in (0, 1)
    assert out


@pytest.mark.parametrize("name", TARGETS)
def test_changed_documents(folder, name):
    target = TARGETS[name]

    @fuzz
    @given(mutations)
    def check(changes):
        read_by(target, folder, target.written(mutated(target.document, changes)))

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_edited_bytes(folder, name):
    target = TARGETS[name]
    content = target.written(target.document)

    @settings(fuzz, max_examples=fuzz.max_examples // 8)
    @given(edits)
    def check(changes):
        read_by(target, folder, edited(content, changes))

    check()


# --- what is no text ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "node.db"
    with Checkpoint(path) as opened:
        opened.put(
            *(
                Entry(f"10.0.1.{n}", Sandbox(f"c{n}", "eth0", "n"), n, f"default/web-{n}")
                for n in range(4, 40)
            )
        )
    return path


def judge_database(path):
    for verb in (["show"], ["verify", "--json"], ["export", "--intact"]):
        for beside in ("-wal", ".lock", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        status, out, err = call("checkpoint", *verb, "--checkpoint", path)
        assert status in (0, 1, 2)
        assert (out + err).replace("\n", "").isprintable()
        assert all(len(line) <= LONGEST_ERROR for line in err.splitlines())


@settings(fuzz, max_examples=fuzz.max_examples // 2)
@given(changes=edits)
def test_edited_databases(database, folder, changes):
    path = folder / "edited.db"
    path.write_bytes(edited(database.read_bytes(), changes))
    judge_database(path)


values = st.one_of(
    st.none(), st.integers(-(1 << 63), (1 << 63) - 1), st.text(max_size=9), st.binary(max_size=9),
    st.floats(), st.sampled_from(["10.0.1.4", "\x1b[2J", "x" * 3000, ""]),
)  # fmt: skip


@settings(fuzz, max_examples=fuzz.max_examples // 2)
@given(row=st.tuples(*[values] * 10), drop=st.integers(0, 9))
def test_rows_of_any_values(database, folder, row, drop):
    path = folder / "row.db"
    path.write_bytes(database.read_bytes())
    usual = ["10.0.1.99", 0, "n", "c", "eth0", "p", 0, "eni-1", 1, None]
    usual[drop] = row[drop]
    for each in (tuple(usual), row):
        with (
            closing(sqlite3.connect(path)) as connection,
            contextlib.suppress(sqlite3.Error, UnicodeError),
        ):
            connection.execute(
                f"INSERT INTO address VALUES ({','.join('?' * 11)})", with_checksum(*each)
            )
            connection.commit()
    judge_database(path)


def snapshot_of(state):
    text = json.dumps(state).encode()
    return b"ipamcore" + (1).to_bytes(2, "big") + zlib.crc32(text).to_bytes(4, "big") + text


def full_store():
    store = DataStore("secondary-ip", cooldown_s=30)
    store.add_eni("eni-1", device_number=0, primary=True)
    for n in range(4, 9):
        store.add_address("eni-1", f"10.0.1.{n}")
    for n in range(3):
        store.assign(Sandbox(f"c{n}", "eth0", "n"), f"default/web-{n}", now_ns=n)
    store.release(Sandbox("c0", "eth0", "n"), now_ns=10)
    return store


@fuzz
@given(mutations)
def test_changed_snapshots(changes):
    state = json.loads(full_store().snapshot()[14:])
    try:
        store = DataStore.restore(snapshot_of(mutated(state, changes)))
    except SnapshotError:
        return
    store._check()


@settings(fuzz, max_examples=fuzz.max_examples // 2)
@given(edits)
def test_an_edited_snapshot_is_refused(changes):
    snapshot = full_store().snapshot()
    if (content := edited(snapshot, changes)) != snapshot:
        with pytest.raises(SnapshotError):
            DataStore.restore(content)


# --- no wrong success -----------------------------------------------------------------------


def scenarios(document, _):
    from ipam_core.simulation.scenario.file import scenario_of

    return scenario_of(document)


def fleets(document, folder):
    from ipam_core.simulation.fleet.file import fleet_of

    return fleet_of(document, folder)


def pod_events(document, _):
    from ipam_core.simulation.fleet.pod_events import parse_events

    lines = TARGETS["pod events"].written(document).decode("utf-8", "surrogatepass")
    return parse_events(lines.splitlines(), "file")


def manifests(document, _):
    from ipam_core.manifests import read_daemonset

    found = read_daemonset(json.dumps(document))
    return found.variables, found.unknown, found.version


def inventories(document, _):
    from ipam_core.subnet.inventory import Inventory

    found = Inventory()
    found.add(document, "file")
    return [getattr(found, each.name) for each in fields(found) if each.name != "_seen"]


def enis(document, _):
    from ipam_core.diagnosis.inputs.enis import is_enis, read_enis

    if not is_enis(document):
        raise InputError("not recognised")
    return read_enis(document, "file", json.dumps(document)).cards


def agents_files(document, folder):
    from ipam_core.ipamd.checkpoint_file import read

    (folder / "read.json").write_text(json.dumps(document))
    return read(folder / "read.json")


def values_of_helm(document, _):
    from ipam_core.manifests import read_helm_values

    found = read_helm_values(json.dumps(document))
    return found.variables, found.unknown, found.version


def addons(document, _):
    from ipam_core.manifests import read_addon

    inner = json.dumps(document["configuration"])
    addon = document["addon"] | {"configurationValues": inner}
    found = read_addon(json.dumps({"addon": addon}))
    return found.variables, found.unknown, found.version


def diagnosed(name):
    """Return a reader of what the doctor takes from a target's file."""
    from ipam_core.diagnosis.inputs.collect import read_case

    def read(document, folder):
        file = folder / TARGETS[name].name
        file.write_bytes(TARGETS[name].written(document))
        return read_case([file])

    return read


ADDON = {
    "addon": {"addonName": "vpc-cni", "addonVersion": "v1.19.0-eksbuild.1"},
    "configuration": {"env": {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "2"}},
}
OF_EVENT = ("reason", "message", "name", "count", "lastTimestamp")
READERS = {
    "Helm values": (
        values_of_helm,
        TARGETS["Helm values"].document,
        lambda path: path[0] == "env" or path[-1] == "tag",
    ),
    "add-on": (addons, ADDON, lambda path: path != ("addon",)),
    "CloudTrail": (
        diagnosed("CloudTrail"),
        TRAIL,
        lambda path: path[-1] in ("eventTime", "eventName", "errorCode", "errorMessage", "arn"),
    ),
    "events": (
        diagnosed("events"),
        EVENTS,
        lambda path: path[:2] == ("items", 1) and path[-1] in OF_EVENT and "metadata" not in path,
    ),
    "log": (
        diagnosed("log"),
        LOG,
        lambda path: (
            (path[-1] == "msg" and path[0] not in (5, 7))  # of which the doctor knows nothing
            or (path[-1] == "ts" and path[0] in (6, 8, 11))  # the first and last of a kind
        ),
    ),
    "bundle": (
        diagnosed("bundle"),
        TARGETS["bundle"].document,
        lambda path: (
            path[-1] in ("IsPrimary", "DeviceNumber", "SubnetID", "IsPrefix", "k8sPodName")
            or len(path) == 1
        ),
    ),
    "scenario": (scenarios, SCENARIO, lambda path: path[0] != "id"),
    "fleet": (fleets, FLEET, lambda path: True),
    "pod events": (pod_events, POD_EVENTS, lambda path: len(path) == 2 and path[0] > 0),
    "manifest": (
        manifests,
        MANIFEST,
        lambda path: "env" in path and 2 not in path and path[-1] in ("name", "value"),
    ),
    "subnet": (
        inventories,
        SUBNETS,
        lambda path: (
            path[-1]
            in (
                "SubnetId",
                "CidrBlock",
                "NetworkInterfaceId",
                "PrivateIpAddress",
                "Ipv4Prefix",
                "Cidr",
                "ReservationType",
                "InstanceType",
                "podIP",
            )
        ),
    ),
    "/v1/enis": (
        enis,
        ENIS,
        lambda path: (
            path[-1] in ("IsPrimary", "DeviceNumber", "SubnetID", "IsPrefix", "k8sPodName")
        ),
    ),
    "agent's checkpoint": (
        agents_files,
        AGENTS_FILE,
        lambda path: (
            path[-1]
            in ("containerID", "ifName", "networkName", "ipv4", "allocationTimestamp", "k8sPodName")
        ),
    ),
}
"""A reader, a document, and which of its places say something to that reader."""


@pytest.mark.parametrize("name", READERS)
def test_another_meaning_is_read_as_another_or_refused(folder, name):
    read, document, says = READERS[name]
    before = read(document, folder)
    every = [path for path in places(document) if says(path)]

    @fuzz
    @given(mutations)
    def check(changes):
        at, _, odd = changes[0]
        path = every[at % len(every)]
        other = mutated(document, [])
        change(other, path, "replace", odd)
        holder = document
        for key in path:
            holder = holder[key]
        if str(holder) == str(odd) and (name == "pod events" or type(holder) is type(odd)):
            return
        try:
            after = read(other, folder)
        except (InputError, CheckpointError):
            return
        assert repr(after) != repr(before), (path, odd)  # to Python 0 is False

    check()
