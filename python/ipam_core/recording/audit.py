"""Lives of pods out of the API server's audit log: JSON lines, as EKS and others write them.

    pods/binding  create        the scheduler put a pod on a node: it needs an address now
    pods/status   patch         by the node's kubelet: the pod runs there, or has ended
    pods          delete        by the kubelet, or with a grace period of 0: the pod is gone;
                                by others: it is to go within its grace period

What can be said depends on the policy's level. At Metadata the node of a binding and whether a
pod is on the host's network are missing; EKS logs the bodies of both. A line may be wrapped
as CloudWatch exports it (`message`, `@message`, `logEvents`). Files may overlap, and may be of
several API servers: all that is known of a pod is put in order of time.

Source: audit.k8s.io/v1 Event; pkg/kubelet/status/status_manager.go of kubernetes/kubernetes.
"""

from __future__ import annotations

import json
from dataclasses import field
from enum import IntEnum
from typing import IO, TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.recording.pods import PodLife
from ipam_core.recording.times import unix_of
from ipam_core.unpacking import DAMAGE, Unpacker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KUBELET = "system:node:"
DEFAULT_GRACE_S = 30.0
"""The grace period where neither the request nor the reply gives it: that of a pod's default."""
LONGEST_LINE = 4 << 20
"""Bytes of a line; a longer one is passed over. The API server bounds a pod to about 1.5 MB."""
MOST_FACTS = 20_000_000
_ENDED = ("Succeeded", "Failed")
_WRAPPED = ("message", "@message", "log")
_MAGIC = 6


class _What(IntEnum):
    """What a line says of a pod, in the order that counts at the same time."""

    CREATED = 0
    CREATED_ON_HOST = 1
    BOUND = 2
    RUNS = 3
    ON_HOST = 4
    ENDED = 5
    TO_GO = 6
    GONE = 7


_CREATED = (_What.CREATED, _What.CREATED_ON_HOST)


@dataclass(frozen=True, slots=True, order=True)
class _Fact:
    time_s: float
    what: _What
    node: str = ""
    grace_s: float = DEFAULT_GRACE_S


@dataclass(slots=True)
class AuditLog:
    """What audit logs say of pods. Add files or lines, in any order; then ask for the lives.

    Attributes:
        first_s: the time of the first line of any kind; with `last_s` what the logs cover.
        n_lines: those that were read.
        n_skipped: those that are no audit event, or are too long.
        n_of_pods: those that said something of a pod.
        n_bodies: of these, those that had the object's body: the level was above Metadata.
    """

    first_s: float | None = None
    last_s: float | None = None
    n_lines: int = 0
    n_skipped: int = 0
    n_of_pods: int = 0
    n_bodies: int = 0
    _facts: dict[str, list[_Fact]] = field(default_factory=dict)

    def add_file(self, path: Path) -> None:
        """Read a file of lines, plain or compressed (gzip, bzip2, xz).

        Raises `OSError`, and `InputError` where it is damaged or too large.
        """
        with path.open("rb") as stream:
            self.add_stream(stream, str(path))

    def add_stream(self, stream: IO[bytes], where: str) -> None:
        """Read a stream as a file. Raises `InputError`, which starts with `where`."""
        head = stream.peek(_MAGIC)[:_MAGIC] if hasattr(stream, "peek") else b""
        unpacked = Unpacker().unpacked(stream, head) or stream
        try:
            self.add_lines(_lines(unpacked))
        except DAMAGE as error:
            raise InputError(f"{where}: damaged: {error}") from None
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    def add_lines(self, lines: Iterable[bytes | None]) -> None:
        """Read lines; None stands for one that is too long. Raises `InputError`: too many."""
        for line in lines:
            if line is not None and not line.strip():
                continue
            self.n_lines += 1
            found = False
            for event in _events(line) if line is not None else ():
                found = True
                self._add(event)
            self.n_skipped += not found

    def _add(self, event: dict[str, Any]) -> None:
        time_s = unix_of(event.get("stageTimestamp") or event.get("requestReceivedTimestamp"))
        if time_s is None:
            return
        self.first_s = time_s if self.first_s is None else min(self.first_s, time_s)
        self.last_s = time_s if self.last_s is None else max(self.last_s, time_s)
        reference = _mapping(event, "objectRef")
        code = _mapping(event, "responseStatus").get("code", 200)
        refused = not isinstance(code, int) or code >= 300
        if reference.get("resource") != "pods" or event.get("stage") != "ResponseComplete":
            return
        found = None if refused else _fact(event, reference, time_s)
        reply = _mapping(_mapping(event, "responseObject"), "metadata")
        name = reference.get("name") or reply.get("name")
        namespace = reference.get("namespace")
        if found is None or not isinstance(name, str) or not isinstance(namespace, str):
            return
        self.n_of_pods += 1
        self.n_bodies += "requestObject" in event or "responseObject" in event
        if self.n_of_pods > MOST_FACTS:
            raise InputError(f"more than {MOST_FACTS:,} lines of pods; give a shorter time's log")
        facts = self._facts.setdefault(f"{namespace}/{name}", [])
        repeated = facts and facts[-1].what == found.what == _What.RUNS
        if not (repeated and facts[-1].node == found.node and facts[-1].time_s <= found.time_s):
            facts.append(found)

    def lives(self) -> Iterator[PodLife]:
        """Yield the lives of the pods that had an address of their own. Cost: n log n."""
        for pod, facts in self._facts.items():
            yield from _lives(pod, sorted(set(facts)), self.first_s or 0.0)


@dataclass(slots=True)
class _Seen:
    """One pod of a name, as far as the facts have been read."""

    on_host: bool = False
    over: bool = False  # it has ended: its address is free, though the object may stay
    node: str = ""
    start_s: float | None = None
    due_s: float | None = None

    def life(self, pod: str, end_s: float | None) -> Iterator[PodLife]:
        """Yield its life, if it had an address and has not been given already."""
        if self.start_s is not None and not self.on_host and not self.over:
            yield PodLife(pod=pod, node=self.node, start_s=self.start_s, end_s=end_s)


def _lives(pod: str, facts: list[_Fact], first_s: float) -> Iterator[PodLife]:
    """Yield the lives of one name, one after the other; the facts are in order of time.

    A pod whose first fact is that it runs, or goes, was there when the log begins.
    """
    seen: _Seen | None = None
    for fact in facts:
        what = fact.what
        another = what in _CREATED or (what is _What.BOUND and seen and seen.due_s is not None)
        if another:
            if seen is not None:  # the line that says that it is gone is not there
                end_s = fact.time_s if seen.due_s is None else min(seen.due_s, fact.time_s)
                yield from seen.life(pod, end_s)
            seen = _Seen()
        elif seen is None:
            seen = _Seen(start_s=None if what is _What.BOUND else first_s)
        assert seen is not None
        seen.on_host |= what in (_What.CREATED_ON_HOST, _What.ON_HOST)
        seen.node = seen.node or fact.node
        if what in (_What.BOUND, _What.RUNS) and seen.start_s is None:
            seen.start_s = fact.time_s
        elif what is _What.TO_GO and seen.due_s is None:
            seen.due_s = fact.time_s + fact.grace_s
        elif what is _What.ENDED:
            yield from seen.life(pod, fact.time_s)
            seen.over = True
        elif what is _What.GONE:
            yield from seen.life(pod, fact.time_s)
            seen = None
    if seen is not None:
        yield from seen.life(pod, seen.due_s)


def _fact(event: dict[str, Any], reference: dict[str, Any], time_s: float) -> _Fact | None:
    """Return what an event says of its pod, None where it says nothing."""
    verb, part = event.get("verb"), reference.get("subresource")
    asked, answered = _mapping(event, "requestObject"), _mapping(event, "responseObject")
    user = _mapping(event, "user").get("username")
    own = user.removeprefix(KUBELET) if isinstance(user, str) and user.startswith(KUBELET) else ""
    if verb == "create" and part == "binding":
        return _Fact(time_s, _What.BOUND, _text(_mapping(asked, "target"), "name"))
    if verb == "create" and not part:
        specs = (_mapping(asked, "spec"), _mapping(answered, "spec"))
        on_host = any(spec.get("hostNetwork") is True for spec in specs)
        return _Fact(time_s, _What.CREATED_ON_HOST if on_host else _What.CREATED)
    if verb in ("patch", "update") and part == "status" and own:
        status = _mapping(asked, "status")
        address = status.get("podIP")
        if address and address == status.get("hostIP"):
            return _Fact(time_s, _What.ON_HOST, own)
        return _Fact(time_s, _What.ENDED if status.get("phase") in _ENDED else _What.RUNS, own)
    if verb == "delete" and not part:
        grace = asked.get("gracePeriodSeconds")
        if grace is None:
            grace = _mapping(answered, "metadata").get("deletionGracePeriodSeconds")
        if own or grace == 0:
            return _Fact(time_s, _What.GONE, own)
        if not isinstance(grace, int | float) or grace <= 0:
            grace = DEFAULT_GRACE_S
        return _Fact(time_s, _What.TO_GO, "", float(grace))
    return None


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Yield the lines of a stream, None for each that is too long to be held."""
    too_long = False
    while line := stream.readline(LONGEST_LINE):
        whole = line.endswith(b"\n") or len(line) < LONGEST_LINE
        if not whole or too_long:
            if whole:
                yield None
            too_long = not whole
            continue
        yield line
    if too_long:
        yield None


def _events(line: bytes) -> Iterator[dict[str, Any]]:
    """Yield the audit events of a line: one, or those of an export of several."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        at = line.find(b'{"kind":"Event"')  # after a time, as `aws logs tail` prints it
        if at <= 0:
            return
        try:
            found = json.loads(line[at:])
        except (ValueError, RecursionError):
            return
    yield from _unwrapped(found, 0)


def _unwrapped(found: Any, depth: int) -> Iterator[dict[str, Any]]:
    if not isinstance(found, dict) or depth > 2:
        return
    if found.get("kind") == "Event" and str(found.get("apiVersion", "")).startswith("audit.k8s.io"):
        yield found
        return
    several = found.get("logEvents") or found.get("events")
    for inner in several if isinstance(several, list) else (found,):
        if not isinstance(inner, dict):
            continue
        for key in _WRAPPED:
            held = inner.get(key)
            if isinstance(held, str):
                try:
                    held = json.loads(held)
                except (ValueError, RecursionError):
                    continue
            yield from _unwrapped(held, depth + 1)


def _mapping(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""
