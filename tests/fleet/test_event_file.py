"""Files of pod events that are read while they are played: the same bytes, in bounded memory."""

import os
import pickle
import subprocess
import sys
import tracemalloc
from array import array
from dataclasses import replace
from hashlib import sha256
from math import ceil
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core.cli._app import run
from ipam_core.errors import InputError
from ipam_core.policy import VPC_CNI
from ipam_core.simulation.fleet import event_file, parquet, placing, workloads
from ipam_core.simulation.fleet.event_file import EventFile, events_of
from ipam_core.simulation.fleet.fleet import Fleet, simulate_fleet
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.pod_events import format_events, read_events
from ipam_core.simulation.fleet.spec import Autoscale
from ipam_core.simulation.fleet.workload_specs import Arrivals, DaemonSet, Trace
from support.fleets import S, as_bytes, fleet
from support.soak import SOAK, examples

MS = 10**6
HEADER = "time,node,pod,action\n"


@st.composite
def recorded(draw):
    """Return the events of some pods in order of time, many of them at the same moment."""
    found = []
    for number, (came_s, lived_s) in enumerate(
        draw(st.lists(st.tuples(st.integers(60, 400), st.integers(0, 200)), max_size=40))
    ):
        pod = draw(st.sampled_from(['p"{}', "p,{}", "pöd-{}", "p\n{}"])).format(number)
        node = draw(st.sampled_from(["", "", "nodes-0", "nodes-1"]))
        moment_ns = came_s * S // 7 // MS * MS
        found.append(PodEvent(time_ns=moment_ns, pod=pod, node=node, add=True))
        if lived_s:
            then_ns = moment_ns + lived_s * S
            found.append(PodEvent(time_ns=then_ns, pod=pod, node=node, add=False))
    return tuple(sorted(found, key=lambda event: event.time_ns))


class AllAtOnce(workloads._TraceProcess):
    """Puts all events into the queue at the start, as was done once: the reference."""

    def begin(self):
        events, self._events = self._events, iter(())
        for event in events:
            self.at(event.time_ns, self._play, event)


def written(folder, kind, events):
    path = folder / f"pods.{kind}"
    if kind == "csv":
        path.write_text(format_events(events), encoding="utf-8", newline="")
    else:
        parquet.write(path, events)
    return path


@settings(max_examples=examples(15), deadline=None)
@given(
    events=recorded(),
    kind=st.sampled_from(["csv", "parquet"]),
    piece=st.integers(1, 60),
    scale=st.sampled_from([None, Autoscale(most=4, boot_ns=20 * S, empty_ns=60 * S)]),
)
def test_a_file_plays_as_its_events_to_the_byte(tmp_path_factory, events, kind, piece, scale):
    path = written(tmp_path_factory.mktemp("events"), kind, events)
    ramp = Arrivals(pods=20, at_ns=61 * S, over_ns=300 * S)
    spec = fleet(DaemonSet(), ramp, Trace(events=events), autoscale=scale)
    file = EventFile(path=path, where="events")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_file, "CHUNK_BYTES", piece)
        patch.setattr(parquet, "ROWS_AT_ONCE", piece)
        patch.setattr(placing, "PIECE", piece)
        patch.setattr(placing, "PIECES_AHEAD", 1 + piece % 3)
        assert tuple(file) == events == tuple(file) == read_events(path, "events")
        from_file = simulate_fleet(replace(spec, workloads=(DaemonSet(), ramp, Trace(events=file))))
    held = simulate_fleet(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(workloads._PROCESSES, Trace, AllAtOnce)
        reference = Fleet(spec, policy=VPC_CNI, seed=0, in_c=False).run()
    assert as_bytes(from_file) == as_bytes(held) == as_bytes(reference)


def test_events_given_in_any_order_are_played_in_order_of_time():
    events = tuple(PodEvent(time_ns=n * S, pod=f"p{n}", add=True) for n in (90, 70, 80))
    ordered = tuple(sorted(events, key=lambda event: event.time_ns))
    results = [simulate_fleet(fleet(Trace(events=each))) for each in (events, ordered)]
    assert as_bytes(results[0]) == as_bytes(results[1])


# --- what is read when --------------------------------------------------------------------


def rows(n, *, gap_ms=50, alive=100):
    """Yield the lines of a steady workload: a pod comes every 50 ms, so many are there."""
    yield HEADER
    for number in range(n):
        at = f"{60 + number * gap_ms / 1000:.2f}"
        yield f"{at},,pod-{number:x},add\n"
        if number >= alive:
            yield f"{at},,pod-{number - alive:x},remove\n"


@pytest.fixture
def all_large(monkeypatch):
    monkeypatch.setattr(event_file, "HELD_BYTES", 0)
    monkeypatch.setattr(event_file, "HELD_ROWS", 0)


def test_small_files_are_held_and_large_ones_are_not(tmp_path, monkeypatch):
    path = tmp_path / "pods.csv"
    path.write_text("".join(rows(20)))
    events = events_of(path, "w")
    assert events == read_events(path, "w")
    monkeypatch.setattr(event_file, "HELD_BYTES", path.stat().st_size - 1)
    assert isinstance(events_of(path, "w"), EventFile)
    table = written(tmp_path, "parquet", events)
    assert events_of(table, "w") == events
    monkeypatch.setattr(event_file, "HELD_ROWS", len(events) - 1)
    assert isinstance(events_of(table, "w"), EventFile)


def test_a_large_file_moves_as_its_path(tmp_path, all_large):
    path = tmp_path / "pods.csv"
    path.write_text("".join(rows(2000)))
    moved = pickle.dumps(events_of(path, "w"))
    assert len(moved) < 400
    assert len(tuple(pickle.loads(moved))) == 3900


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("time,pod\n", "line 1 is time,node,pod,action"),
        (HEADER + "61,,a,add\n60,,b,add\n", "line 3: earlier than the line before; sort the file"),
        (HEADER + "61,,a,add\n61,,a,add\n", "line 3: pod 'a' is there already"),
        (HEADER + "61,,a,add\n62,x-1,b,add\n", "no node 'x-1' at 62 s"),
        (HEADER + "61,,a,remove\n", "line 2: pod 'a' is not there"),
        (HEADER + "61.1234567,,a,add\nsoon,,b,add\n", "line 3: time is a duration"),
        (HEADER + "61,,a,add\n62,,\udcff,add\n", "not UTF-8 text at byte 35"),
        (HEADER + "61,," + 3000 * "a", "a line longer than 1,000 bytes"),
    ],
)
def test_a_wrong_row_is_one_line_when_it_is_come_to(
    tmp_path, monkeypatch, capsys, all_large, text, line
):
    monkeypatch.setattr(event_file, "CHUNK_BYTES", 10)
    monkeypatch.setattr(event_file, "LONGEST_LINE_BYTES", 1000)
    (tmp_path / "pods.csv").write_bytes(text.encode(errors="surrogateescape"))
    (tmp_path / "fleet.yaml").write_text(
        "duration: 5m\nnodes: [{instance_type: m5.large, count: 1}]\n"
        "workloads: [{kind: csv, file: pods.csv}]\n"
    )
    assert run(["simulate", str(tmp_path / "fleet.yaml")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said


def test_a_parquet_file_that_is_not_in_order_names_the_row(tmp_path, all_large):
    events = [PodEvent(time_ns=n * S, pod=f"p{n}", add=True) for n in (1, 3, 4, 2)]
    file = events_of(written(tmp_path, "parquet", events), "w")
    with pytest.raises(InputError, match="row 4: earlier than the row before; sort the file by"):
        simulate_fleet(fleet(Trace(events=file)))


@pytest.mark.parametrize("in_c", [True, False])
def test_what_is_after_the_end_is_not_read(tmp_path, all_large, in_c):
    path = tmp_path / "pods.csv"
    path.write_text("".join(rows(40)) + "999999,,late,add\nnothing\n")
    spec = fleet(Trace(events=events_of(path, "w")))
    assert Fleet(spec, policy=VPC_CNI, seed=0, in_c=in_c).run().n_pods == 40


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("in_c", [True, False], ids=["in C", "in Python"])
def test_memory_does_not_grow_with_the_file(tmp_path, all_large, monkeypatch, kind, in_c):
    """Five times the events take 8 bytes more for each pod, the result; held, they took 300."""
    monkeypatch.setattr(event_file, "CHUNK_BYTES", 1 << 12)
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 200)
    monkeypatch.setattr(placing, "PIECE", 200)
    peaks = []
    for n_pods in (500, 500, 2500):  # the first run loads what is loaded once
        (tmp_path / "pods.csv").write_text("".join(rows(n_pods, gap_ms=500)))
        path = tmp_path / "pods.csv"
        if kind == "parquet":
            path = written(tmp_path, kind, read_events(path, "w"))
        spec = fleet(Trace(events=events_of(path, "w")), count=10, minutes=25)
        tracemalloc.start()
        result = Fleet(spec, policy=VPC_CNI, seed=0, in_c=in_c).run()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result.n_pods == n_pods
    assert peaks[2] - peaks[1] < 2000 * 8 + 60_000


def test_what_is_read_of_a_parquet_file_does_not_stay_in_memory(tmp_path, monkeypatch):
    """pyarrow keeps a whole file of 600 MB if it may read ahead of the rows that are asked for."""
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 500)
    names = (sha256(b"%d" % number).hexdigest() for number in range(20_000))
    events = [PodEvent(time_ns=n * MS, node="", pod=name, add=True) for n, name in enumerate(names)]
    path = written(tmp_path, "parquet", events)
    before, most = pyarrow.total_allocated_bytes(), 0
    for _ in parquet.read_rows(path, "w"):
        most = max(most, pyarrow.total_allocated_bytes() - before)
    assert 0 < most < path.stat().st_size / 4


def test_nodes_have_few_pieces_before_them_however_dense_the_events_are(
    tmp_path, all_large, monkeypatch
):
    """What is placed ahead of the nodes takes memory: 4 % of 100 million events took 1 GB."""
    (tmp_path / "pods.csv").write_text("".join(rows(600)))
    monkeypatch.setattr(placing, "PIECE", 10)
    read, most = [0], []

    def place(self, until_ns, _place=placing.Placing.place, **more):
        read[0] = 0
        reached_ns = _place(self, until_ns, **more)
        most.append(read[0])
        return reached_ns

    def next_piece(self, number_of, _next_piece=placing._Numbered.next_piece):
        read[0] += 1
        return _next_piece(self, number_of)

    monkeypatch.setattr(placing.Placing, "place", place)
    monkeypatch.setattr(placing._Numbered, "next_piece", next_piece)
    simulate_fleet(fleet(Trace(events=events_of(tmp_path / "pods.csv", "w"))))
    assert sum(most) > 100
    assert max(most) <= placing.PIECES_AHEAD + 2


# --- quantiles --------------------------------------------------------------------------------


@settings(max_examples=examples(40), deadline=None)
@given(
    waits=st.lists(st.sampled_from([0.0, 0.0, 1.5, 3.0]) | st.floats(0, 100), max_size=30),
    waiting=st.lists(st.floats(0, 100), max_size=5),
    share=st.floats(0, 1),
)
@pytest.mark.parametrize("with_numpy", [True, False])
def test_quantiles_are_those_of_all_waits(with_numpy, waits, waiting, share):
    result = replace(
        simulate_fleet(fleet(minutes=1)),
        waits_s=array("d", waits),
        still_waiting_s=array("d", waiting),
    )
    every = sorted(waits + waiting)
    expected = every[max(ceil(share * len(every)) - 1, 0)] if every else 0.0
    with pytest.MonkeyPatch.context() as patch:
        if not with_numpy:
            patch.setitem(sys.modules, "numpy", None)
        assert result.wait_quantile_s(share) == expected


# --- the soak ------------------------------------------------------------------------------

PLAYED = """
import resource, sys, time
from pathlib import Path
from dataclasses import replace
from support.fleets import S, as_bytes, fleet
from ipam_core.simulation.fleet.event_file import EventFile
from ipam_core.simulation.fleet.fleet import Fleet, simulate_fleet
from ipam_core.simulation.fleet.workload_specs import Trace
path, n_rows = Path(sys.argv[1]), int(sys.argv[2])
spec = fleet(Trace(events=EventFile(path=path, where="w")), count=200, env={"WARM_IP_TARGET": "8"})
spec = replace(spec, duration_ns=(120 + n_rows // 40) * S)
begun = time.process_time()
result = simulate_fleet(spec)
assert result.n_pods == n_rows // 2, result.n_pods
print(time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif(not SOAK, reason="millions of events: IPAM_CORE_SOAK=1")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_millions_of_events_in_bounded_memory(tmp_path, kind):
    """Reports the CPU time and the peak memory; IPAM_CORE_SOAK_ROWS gives another number."""
    most = int(os.environ.get("IPAM_CORE_SOAK_ROWS", "4000000"))
    tests = Path(__file__).parents[1]
    found = []
    for n_rows in (most // 8, most):
        path = tmp_path / f"{n_rows}.csv"
        with path.open("w") as file:
            file.writelines(steady(n_rows))
        if kind == "parquet":
            table = path.with_suffix(".parquet")
            parquet.write(table, iter(EventFile(path=path, where="w")))
            path = table
        said = subprocess.run(
            [sys.executable, "-c", PLAYED, path, str(n_rows)],
            env=os.environ | {"PYTHONPATH": str(tests)},
            check=True,
            capture_output=True,
            text=True,
        )
        seconds, peak_mb = map(float, said.stdout.split())
        found.append(peak_mb)
        print(f"{kind}: {n_rows:,} events: {n_rows / seconds:,.0f} a second, {peak_mb:.0f} MB")
    assert found[1] - found[0] < 8 * most // 2 / 2**20 * 1.3 + 16


def steady(n_rows):
    """Yield lines: a pod each 50 ms, 2,000 at a time, all gone at the end."""
    yield HEADER
    n_pods, alive = n_rows // 2, 2000
    for number in range(n_pods + alive):
        at = f"{60 + number * 0.05:.2f}"
        if number < n_pods:
            yield f"{at},,pod-{number:x},add\n"
        if number >= alive:
            yield f"{at},,pod-{number - alive:x},remove\n"
