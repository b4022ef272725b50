"""Lives of pods out of audit logs: what each line means, and in what forms they come."""

import gzip
import io
import itertools
import json
import random

import pytest

from ipam_core.errors import InputError
from ipam_core.recording import audit
from ipam_core.recording.audit import AuditLog
from ipam_core.recording.times import unix_of
from support.audit_log import bound, created, deletion, life, line, status

T0 = unix_of("2026-03-11T02:00:00Z")


def read(*lines):
    log = AuditLog()
    log.add_lines(lines)
    return log


def lives(*lines):
    return lives_of(read(*lines))


def lives_of(log):
    return sorted(
        (
            life.pod.removeprefix("default/"),
            life.node,
            round(life.start_s - T0, 3),
            None if life.end_s is None else round(life.end_s - T0, 3),
        )
        for life in log.lives()
    )


def test_a_pod_holds_an_address_from_its_binding_until_the_kubelet_deletes_it():
    assert lives(*life(10, "a", "n1", 100)) == [("a", "n1", 10.1, 100)]


def test_the_order_of_lines_and_lines_that_are_there_twice_change_nothing():
    lines = [*life(10, "a", "n1", 100), *life(20, "b", "n2", 50), *life(60, "b", "n1", 90)]
    expected = [("a", "n1", 10.1, 100), ("b", "n1", 60.1, 90), ("b", "n2", 20.1, 50)]
    chance = random.Random(3)
    for _ in range(20):
        mixed = lines + chance.sample(lines, 4)
        chance.shuffle(mixed)
        assert lives(*mixed) == expected


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_holds_none_though_it_is_still_there(phase):
    found = lives(
        created(0, "job"),
        bound(1, "job", "n1"),
        status(20, "job", "n1", phase=phase),
        status(21, "job", "n1", conditions=[]),  # the kubelet goes on to write its status
        deletion(100, "job"),
        deletion(101, "job", node="n1"),
    )
    assert found == [("job", "n1", 1, 20)]


def test_pods_on_the_hosts_network_are_left_out_however_that_is_told():
    assert lives(created(0, "h", on_host=True), bound(1, "h", "n1")) == []
    same = {"podIP": "10.0.0.1", "hostIP": "10.0.0.1"}
    assert lives(bound(1, "h", "n1"), status(2, "h", "n1", **same)) == []
    assert lives(created(0, "h", on_host=True, generated=True), bound(1, "h", "n1")) == []


def test_a_pod_that_is_deleted_before_it_is_on_a_node_held_none():
    assert lives(created(0, "a"), deletion(9, "a")) == []
    assert lives(created(0, "a"), deletion(9, "a"), *life(20, "a", "n1", 50)) == [
        ("a", "n1", 20.1, 50)
    ]


def test_what_was_there_when_the_log_begins_has_been_there_from_its_start():
    begin = created(5, "other")
    assert lives(begin, status(30, "a", "n1", conditions=[])) == [("a", "n1", 5, None)]
    assert lives(begin, deletion(40, "a"), deletion(45, "a", node="n1")) == [("a", "n1", 5, 45)]
    assert lives(begin, status(30, "a", "n1", phase="Succeeded")) == [("a", "n1", 5, 30)]


def test_a_deletion_without_the_kubelets_ends_with_its_grace_period():
    start = [created(0, "a"), bound(1, "a", "n1")]
    assert lives(*start, deletion(10, "a", grace=60)) == [("a", "n1", 1, 70)]
    answered = {"metadata": {"deletionGracePeriodSeconds": 5}}
    graceful = line(10, "delete", "a", asked={"kind": "DeleteOptions"}, answered=answered)
    assert lives(*start, graceful) == [("a", "n1", 1, 15)]
    assert lives(*start, line(10, "delete", "a")) == [("a", "n1", 1, 40)]
    assert lives(*start, deletion(10, "a", grace=0)) == [("a", "n1", 1, 10)]
    # Another has its name before that: it is gone by then.
    again = [*start, deletion(10, "a", grace=60), created(30, "a"), bound(31, "a", "n2")]
    assert lives(*again) == [("a", "n1", 1, 30), ("a", "n2", 31, None)]
    assert lives(*again[:3], bound(31, "a", "n2")) == [
        ("a", "n1", 1, 31),
        ("a", "n2", 31, None),
    ]


def test_what_failed_or_is_only_begun_or_dry_says_nothing():
    assert lives(bound(1, "a", "n1", responseStatus={"code": 409})) == []
    assert lives(bound(1, "a", "n1", stage="RequestReceived")) == []
    assert lives(*life(0, "a", "n1", 50)[:3], deletion(60, "a", node="n1", code=404)) == [
        ("a", "n1", 0.1, None)
    ]
    other = bound(1, "a", "n1", objectRef={"resource": "nodes", "name": "n1"})
    assert lives(other) == []


def test_at_the_level_metadata_times_are_there_and_nodes_are_not():
    bare = [json.loads(each) for each in life(10, "a", "n1", 100)[:2]]
    for each in bare:
        each.pop("requestObject", None), each.pop("responseObject", None)
    log = read(*(json.dumps(each).encode() for each in bare))
    assert lives_of(log) == [("a", "", 10.1, None)]
    assert (log.n_of_pods, log.n_bodies) == (2, 0)


def wrapped(form, lines):
    events = [{"timestamp": 1, "message": each.decode().strip()} for each in lines]
    if form == "plain":
        return b"".join(lines)
    if form == "cloudwatch":
        return b"".join(json.dumps(each).encode() + b"\n" for each in events)
    if form == "insights":
        return b"".join(
            json.dumps({"@timestamp": "x", "@message": json.loads(each)}).encode() + b"\n"
            for each in lines
        )
    if form == "subscription":
        return json.dumps({"messageType": "DATA_MESSAGE", "logEvents": events}).encode()
    if form == "get-log-events":
        return json.dumps({"events": events, "nextForwardToken": "f/1"}).encode()
    assert form == "tail"
    return b"".join(b"2026-03-11T02:00:00 kube-apiserver-audit-1 " + each for each in lines)


@pytest.mark.parametrize(
    "form", ["plain", "cloudwatch", "insights", "subscription", "get-log-events", "tail"]
)
def test_lines_are_read_in_the_forms_in_which_people_have_them(form, tmp_path):
    content = wrapped(form, [line.replace(b'": ', b'":') for line in life(10, "a", "n1", 100)])
    path = tmp_path / "audit.log.gz"
    path.write_bytes(gzip.compress(content))
    log = AuditLog()
    log.add_file(path)
    assert lives_of(log) == [("a", "n1", 10.1, 100)]
    assert log.n_skipped == 0


def test_what_is_no_audit_line_is_counted_and_passed_over(monkeypatch):
    monkeypatch.setattr(audit, "LONGEST_LINE", 4096)
    log = AuditLog()
    junk = [b"not json\n", b"[1]\n", b'{"kind": "Event"}\n', b"\xff\xfe\n", b"[" * 900 + b"\n",
            b'{"message": "{"}\n', b"x" * 10_000 + b"\n", b"\n"]  # fmt: skip
    content = b"".join([*junk, *life(10, "a", "n1", 100), b"y" * 9000])
    log.add_stream(io.BytesIO(content), "the log")
    assert lives_of(log) == [("a", "n1", 10.1, 100)]
    assert (log.n_lines, log.n_skipped) == (7 + 5 + 1, 8)


def test_no_shape_of_a_line_raises():
    chance = random.Random(7)
    lines = [*life(10, "a", "n1", 100), created(1, "b", generated=True)]
    wrong = (None, 3, [], "x", {}, [{}], True, -1e308)
    for each, _ in itertools.product(lines, range(200)):
        event = json.loads(each)
        holder = event
        while True:
            key = chance.choice(sorted(holder))
            if isinstance(holder[key], dict) and holder[key] and chance.random() < 0.7:
                holder = holder[key]
                continue
            holder[key] = chance.choice(wrong)
            break
        lives(json.dumps(event).encode())


def test_a_damaged_file_and_too_many_lines_are_one_line(tmp_path, monkeypatch):
    path = tmp_path / "audit.gz"
    path.write_bytes(gzip.compress(b"".join(life(10, "a", "n1", 100)))[:-20])
    with pytest.raises(InputError, match=r"audit\.gz: damaged: "):
        AuditLog().add_file(path)
    monkeypatch.setattr(audit, "MOST_FACTS", 3)
    with pytest.raises(InputError, match="more than 3 lines of pods"):
        lives(*life(10, "a", "n1", 100))


@pytest.mark.parametrize("text", [b'{"events": 3}', b'{"events": true}', b'{"logEvents": "x"}'])
def test_a_line_of_another_shape_is_passed_over(text):
    log = AuditLog()
    log.add_stream(io.BytesIO(text + b"\n"), "here")
    assert log.first_s is None
