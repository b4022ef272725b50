"""Pod events as Parquet: what is written is read, and what is none is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core.cli._app import run
from ipam_core.errors import InputError
from ipam_core.recording.output import Recording, new_names, read_meta, write_whole
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.pod_events import format_events, read_events

pa = pytest.importorskip("pyarrow", reason="needs the extra `parquet`")
pq = pytest.importorskip("pyarrow.parquet")

from ipam_core.simulation.fleet import parquet  # noqa: E402  (needs the extra)

EVENTS = (
    PodEvent(time_ns=0, node="n1", pod="default/a", add=True),
    PodEvent(time_ns=1_500_000_001, node="", pod="default/b", add=True),
    PodEvent(time_ns=1_500_000_001, node="n1", pod="default/a", add=False),
)
FLEET = """
name: recorded
duration: 2m
subnets: [{id: subnet-a, cidr: 10.0.0.0/24}]
nodes: [{name: n, instance_type: m5.large, count: 1}]
workloads: [{kind: pod_events, file: pods.parquet}]
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pods.parquet"


def rows_of(path, *rows, names=("time_ns", "node", "pod", "action")):
    pq.write_table(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), path)


def test_what_is_written_is_read(path):
    parquet.write(path, EVENTS)
    assert read_events(path, "events") == EVENTS


@given(
    times=st.lists(st.integers(0, 2**62), min_size=1, max_size=30),
    node=st.text(max_size=5),
    at_once=st.integers(1, 7),
)
def test_any_events_are_read_in_any_batches(times, node, at_once, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    events = tuple(
        PodEvent(time_ns=time_ns, node=node, pod=f"p{number}", add=True)
        for number, time_ns in enumerate(sorted(times))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROWS_AT_ONCE", at_once)
        parquet.write(path, events)
        assert read_events(path, "events") == events


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(5, "", "a", "add"), (4, "", "b", "add")], "row 2: earlier than the row before"),
        ([(5, "", "a", "remove")], "row 1: pod 'a' is not there"),
        ([(5, "", "a", "add"), (5, "", "a", "add")], "row 2: pod 'a' is there already"),
        ([(5, "", "a", "go")], "row 1: no pod event: .*'go'"),
        ([(-1, "", "a", "add")], "row 1: no pod event: .*-1"),
        ([(5, "", "", "add")], "row 1: no pod event"),
        ([("soon", "", "a", "add")], "soon"),
    ],
)
def test_rows_that_are_no_events_are_refused(path, rows, why):
    rows_of(path, *rows)
    with pytest.raises(InputError, match=why):
        read_events(path, "events")


def test_missing_values_columns_and_other_files_are_refused(path):
    rows_of(path, (5, None, "a", "add"))
    with pytest.raises(InputError, match="events: "):
        read_events(path, "events")
    rows_of(path, (5, "a"), names=("time_ns", "pod"))
    with pytest.raises(InputError, match="no column 'node', 'action'"):
        read_events(path, "events")
    path.write_text("time,node,pod,action\n")
    with pytest.raises(InputError, match="events: "):
        read_events(path, "events")


def test_a_fleet_plays_it_as_it_plays_the_csv(path, capsys):
    parquet.write(path, EVENTS)
    path.with_suffix(".csv").write_text(format_events(EVENTS))
    said = []
    for suffix in ("parquet", "csv"):
        file = path.with_name("fleet.yaml")
        file.write_text(FLEET.replace("pods.parquet", f"pods.{suffix}").replace("n1", "n-0"))
        status = run(["simulate", str(file), "--json"])
        said.append((status, capsys.readouterr().out))
    assert said[0] == said[1]


def test_a_recording_is_converted_and_back(path, capsys):
    csv, again = path.with_suffix(".csv"), path.with_name("again.csv")
    events = [EVENTS[0], PodEvent(time_ns=2_000_000_000, node="n1", pod="default/a", add=False)]
    names = new_names(hashed=True)
    write_whole(csv, events, start_s=1_770_000_000.0, names=names)
    assert run(["record", str(path), "--recording", str(csv), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 2
    assert run(["record", str(again), "--recording", str(path)]) == 0
    assert again.read_bytes() == csv.read_bytes()
    assert read_meta(again) == read_meta(path) == read_meta(csv)


def test_a_file_that_cannot_be_written_leaves_what_was_there(path):
    write_whole(path, EVENTS, start_s=0.0, names=new_names(hashed=False))
    before = path.read_bytes(), read_meta(path)

    def broken():
        yield EVENTS[0]
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        write_whole(path, broken(), start_s=5.0, names=new_names(hashed=True))
    assert (path.read_bytes(), read_meta(path)) == before
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.json"]


def test_what_grows_is_no_parquet(path, capsys):
    with pytest.raises(InputError, match="a Parquet file cannot grow"):
        Recording.open(path, now_s=0.0)
    assert not path.exists()
    assert run(["record", str(path), "--recording", str(path)]) == 2
    assert "is the recording itself" in capsys.readouterr().err
    assert run(["record", str(path), "--recording", "none.csv"]) == 2
    assert "no recording" in capsys.readouterr().err
