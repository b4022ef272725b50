"""The recording on disk: its times, its names, and how it goes on after any end."""

import errno
import json
import os
import random
import tracemalloc

import pytest

from ipam_core.errors import InputError
from ipam_core.recording.output import Recording, meta_path, new_names, read_meta, write_whole
from ipam_core.recording.pods import Names, PodLife, events_of
from ipam_core.recording.times import given_time, rfc3339, unix_of
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.pod_events import format_events, parse_events, read_events
from ipam_core.units import NS

T0 = 1_770_000_000.0


def event(time_s, pod, add, node="n1"):
    return PodEvent(time_ns=round((T0 + time_s) * NS), pod=pod, node=node, add=add)


def life(pod, start, end, node="n1"):
    return PodLife(pod=pod, node=node, start_s=T0 + start, end_s=None if end is None else T0 + end)


# --- lives as events ------------------------------------------------------------------


PLAIN = Names()


def rows(*lives, until=1000, names=PLAIN):
    found = events_of(lives, start_s=T0, until_s=T0 + until, names=names)
    parse_events(format_events(found).splitlines(), "here")  # what is written can be read
    return [(each.time_ns / NS, each.pod, each.node, each.add) for each in found]


def test_lives_are_events_in_order_clipped_to_the_time():
    found = rows(life("a", -5, 10), life("b", 3.0004, None, "n2"), life("c", 9, 2000),
                 life("d", -9, -1), life("e", 1001, 1002))  # fmt: skip
    assert found == [
        (0, "a", "n1", True),
        (3, "b", "n2", True),
        (9, "c", "n1", True),
        (10, "a", "n1", False),
    ]


def test_a_name_is_never_there_twice_and_goes_before_another_comes():
    found = rows(life("a", 0, 60, "n1"), life("a", 50, None, "n2"), life("b", 50, 50.0001))
    assert found == [(0, "a", "n1", True), (50, "a", "n1", False), (50, "a", "n2", True)]


def test_random_lives_can_always_be_read_as_a_workload():
    chance = random.Random(1)
    for _ in range(100):
        lives = []
        for _ in range(chance.randrange(12)):
            start = chance.randrange(-20, 40) / 4
            end = chance.choice([None, start + chance.randrange(12) / 4])
            lives.append(life(chance.choice("abc"), start, end))
        found = rows(*lives, until=8)
        assert all(0 <= row[0] <= 8 for row in found)


def test_hashed_names_are_the_same_within_a_recording_and_another_in_another():
    one, other = new_names(hashed=True), new_names(hashed=True)
    assert one.of("default/a") == one.of("default/a") != one.of("default/b")
    assert one.of("default/a") != other.of("default/a")
    assert one.of("") == ""
    assert "default" not in one.of("default/a")
    assert rows(life("a", 1, 2), names=one)[0][1:3] == (one.of("a"), one.of("n1"))


# --- the file -------------------------------------------------------------------------


def test_a_recording_goes_on_where_it_ended(tmp_path):
    path = tmp_path / "pods.csv"
    with Recording.open(path, now_s=T0) as one:
        assert one.append([event(1, "a", True), event(2, "b", True), event(2, "a", False)]) == 3
    with Recording.open(path, now_s=T0 + 500) as again:
        assert again.start_s == T0  # its times still count from its start
        assert again.there == {"b": ("n1", T0 + 2)}
        assert again.last_s == T0 + 2
        # An event from before the last one is written at its time; what changes nothing is not.
        assert again.append([event(1, "c", True), event(9, "b", True), event(10, "b", False)]) == 2
    times = [(each.time_ns / NS, each.pod, each.add) for each in read_events(path, "here")]
    assert times[3:] == [(2, "c", True), (10, "b", False)]
    assert rfc3339(T0) == json.loads(meta_path(path).read_text())["start"]


def test_a_line_that_was_cut_is_taken_off_and_nothing_else(tmp_path):
    path = tmp_path / "pods.csv"
    with Recording.open(path, now_s=T0) as one:
        one.append([event(n, f"p{n}", True) for n in range(5)])
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with Recording.open(path, now_s=T0 + 9) as again:
            n_lines = content[:length].count(b"\n")
            assert len(again.there) == max(n_lines - 1, 0)
            again.append([event(9, "new", True)])
        assert read_events(path, "here")[-1].pod == "new"


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path, monkeypatch):
    path = tmp_path / "pods.csv"
    with Recording.open(path, now_s=T0) as one:
        one.append([event(1, "a", True)])
        before = path.read_bytes()
        stream = one._stream

        class Full:
            def write(self, content):
                return stream.write(content[: len(content) // 2])

            def __getattr__(self, name):
                return getattr(stream, name)

        one._stream = Full()
        with pytest.raises(OSError, match="disk full") as caught:
            one.append([event(2, "b", True)])
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == before
        assert "b" not in one.there
        one._stream = stream
        assert one.append([event(2, "b", True)]) == 1  # given again it is written
    assert len(read_events(path, "here")) == 2


def test_a_batch_is_one_write_and_one_sync(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with Recording.open(tmp_path / "pods.csv", now_s=T0) as one:
        synced.clear()
        one.append([event(n, f"p{n}", True) for n in range(100)])
        assert len(synced) == 1
        assert one.append([]) == one.append([event(9, "p1", True)]) == 0
        assert len(synced) == 1


def test_only_one_process_at_a_time_records_into_a_file(tmp_path):
    path = tmp_path / "pods.csv"
    other = pytest.raises(InputError, match=r"pods\.csv: another process records into it")
    with Recording.open(path, now_s=T0), other:
        Recording.open(path, now_s=T0)
    Recording.open(path, now_s=T0).close()


def test_names_stay_hashed_or_not(tmp_path):
    path = tmp_path / "pods.csv"
    with Recording.open(path, now_s=T0, hashed=True) as one:
        salt = one.names
        one.append([event(1, salt.of("default/a"), True, salt.of("ip-10-0-0-1"))])
    assert read_meta(path) == (T0, salt)
    with Recording.open(path, now_s=T0) as again:  # what is not asked for stays as it was
        assert again.append([event(2, salt.of("default/a"), False)]) == 1
    with pytest.raises(InputError, match="its names are hashed; begin another"):
        Recording.open(path, now_s=T0, hashed=False)


def test_where_the_source_goes_on_is_known_once_and_after_an_orderly_end_only(tmp_path):
    path = tmp_path / "pods.csv"
    with Recording.open(path, now_s=T0) as one:
        assert one.since == ""
        one.append([event(1, "a", True)])
        one.end("4711")
    with Recording.open(path, now_s=T0) as again:
        assert (again.since, again.start_s) == ("4711", T0)
    with Recording.open(path, now_s=T0) as killed:  # what it did since nobody knows
        assert killed.since == ""


def test_what_is_no_recording_is_left_alone(tmp_path):
    path = tmp_path / "pods.csv"
    path.write_text("my,own,file\n")
    with pytest.raises(InputError, match=r"is there, and no recording: .*csv\.json is missing"):
        Recording.open(path, now_s=T0)
    assert path.read_text() == "my,own,file\n"
    for wrong in ("{", "[]", '{"version": 1}', '{"version": 1, "start": "x", "salt": 3}'):
        meta_path(path).write_text(wrong)
        with pytest.raises(InputError, match=r"pods\.csv\.json: not what"):
            read_meta(path)
    meta_path(path).write_text('{"version": 2, "start": "2026-03-11T02:00:00Z", "salt": null}')
    with pytest.raises(InputError, match="version 2, this ipam-core knows 1"):
        read_meta(path)
    assert read_meta(tmp_path / "other.csv") is None


def test_a_whole_recording_replaces_another_whole(tmp_path, monkeypatch):
    path = tmp_path / "pods.csv"
    events = events_of([life("a", 1, 2)], start_s=T0, until_s=T0 + 9, names=Names())
    write_whole(path, events, start_s=T0, names=Names())
    assert read_events(path, "here") == tuple(events)
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        write_whole(path, events[:1], start_s=T0 + 1, names=Names())
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pods.csv", "pods.csv.json"]


def test_a_recording_that_goes_on_is_read_in_bounded_memory(tmp_path):
    """Of months of events only the pods that are there are held."""
    path = tmp_path / "pods.csv"
    with Recording.open(path, now_s=T0) as one:
        one.append([event(n, f"pod-{n // 2}", n % 2 == 0) for n in range(20_000)])
        one.append([event(20_000, "stays", True)])
    with path.open("ab") as stream:
        stream.write(b"20001,n1,cut")
    n_bytes = path.stat().st_size
    tracemalloc.start()
    try:
        with Recording.open(path, now_s=T0) as again:
            _, most = tracemalloc.get_traced_memory()
            assert (again.n_events, set(again.there)) == (20_001, {"stays"})
    finally:
        tracemalloc.stop()
    assert most < n_bytes / 2


@pytest.mark.parametrize("length", [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 200_000])
def test_the_start_of_a_line_is_taken_off_whatever_its_length(tmp_path, length):
    path = tmp_path / "pods.csv"
    with Recording.open(path, now_s=T0) as one:
        one.append([event(1, "a", True)])
    before = path.read_bytes()
    path.write_bytes(before + b"x" * length)
    with Recording.open(path, now_s=T0) as again:
        assert set(again.there) == {"a"}
    assert path.read_bytes() == before


def test_a_new_name_is_durable_with_its_folder(tmp_path, monkeypatch):
    """After a power cut a rename that was not synced may be undone."""
    synced = []
    real = os.fsync

    def fsync(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "pods.csv"
    write_whole(path, [], start_s=T0, names=Names())
    files = [each.stat().st_ino for each in (path, meta_path(path), tmp_path, tmp_path)]
    assert synced == files


# --- times ----------------------------------------------------------------------------


def test_times_are_read_as_people_and_kubernetes_write_them():
    now = unix_of("2026-03-11T02:00:00Z")
    assert unix_of("2026-03-11T03:00:00+01:00") == now
    assert unix_of("2026-03-11T02:00:00.123456Z") == pytest.approx(now + 0.123456)
    assert unix_of("yesterday") is None
    assert unix_of(None) is None
    assert rfc3339(now) == "2026-03-11T02:00:00Z"
    assert rfc3339(now + 0.25) == "2026-03-11T02:00:00.250Z"
    assert given_time("90m", "--since", now) == now - 5400
    assert given_time("2026-03-11T01:00:00Z", "--since", now) == now - 3600
    for wrong in ("soon", "", "2026-03-11", "-3h"):
        with pytest.raises(InputError, match=r"--since is a time such as .*, not "):
            given_time(wrong, "--since", now)


def test_what_a_process_records_into_is_not_replaced(tmp_path):
    path = tmp_path / "pods.csv"
    with Recording.open(path, now_s=T0) as recording:
        with pytest.raises(InputError, match="another process records into it"):
            write_whole(path, [], start_s=T0 + 5, names=new_names(hashed=False))
        recording.append([event(1, "a", True)])
    assert [each.pod for each in read_events(path, "here")] == ["a"]
    assert read_meta(path)[0] == T0
