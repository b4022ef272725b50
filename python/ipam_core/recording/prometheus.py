"""Lives of pods out of kube-state-metrics' series, as Prometheus keeps them.

    kube_pod_info                 where a pod is, and in which samples it was there at all
    kube_pod_created              when it was created
    kube_pod_completion_time      when all its containers had ended: its address was free then
    kube_pod_deletion_timestamp   until when it is to be gone

A pod begins to need an address when it is on a node: at its creation, or, where it waited for
a node, at the first sample that shows one. It ends at its completion, else after the last
sample that shows it, by its deletion timestamp at the latest. So a time is right to `step_s`,
and a pod that no sample shows is not seen.

Range queries, one for each metric and page of time. A page whose answer is too large for
Prometheus, for `most_bytes` or for `timeout_s` is halved; one that fails is tried again.

Source: docs/metrics/workload/pod-metrics.md of kubernetes/kube-state-metrics (there is no
kube_pod_deleted in it); the HTTP API of prometheus.io.
"""

from __future__ import annotations

import base64
import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from ipam_core.bounded_http import LongAnswerError, bounded_opener, read_whole, start_of
from ipam_core.errors import DeniedError, InputError, IpamError, UnreachableError
from ipam_core.quoting import quoted
from ipam_core.recording.pods import PodLife
from ipam_core.recording.times import rfc3339
from ipam_core.urls import check_http_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPResponse

STEP_S = 30.0
PAGE_S = 3600.0
MOST_POINTS = 11_000
"""The most points of a series that Prometheus answers."""
MOST_BYTES = 128 << 20
MOST_PODS = 5_000_000
TRIES = 3
TIMEOUT_S = 120.0
"""So long a request may take, its whole answer included."""
API = "Prometheus"
"""What errors name instead of a call."""
_BY = "namespace, pod, uid"
_INFO_BY = f"{_BY}, node, host_ip, pod_ip"
_VALUES = ("kube_pod_created", "kube_pod_completion_time", "kube_pod_deletion_timestamp")
_TOO_MUCH = ("too many samples", "maximum resolution", "timed out", "timeout")
"""Words of Prometheus' own errors that a shorter time heals."""


class _TooLargeError(Exception):
    """An answer that is too large, or takes too long: ask for less."""


@dataclass(slots=True)
class _Pod:
    """What the samples of one pod say so far: times as Unix time, `inf` and `-inf` for none."""

    name: str
    node: str = ""
    own_address: bool = True
    first_s: float = math.inf  # the first and last sample that shows it on a node
    last_s: float = -math.inf
    unplaced_s: float = -math.inf  # the last one that shows it on none
    created_s: float | None = None
    completed_s: float | None = None
    due_s: float | None = None


class PodSeries:
    """Reads the lives of pods between two times, page by page.

    `matchers` are more label matchers, as `cluster="blue"`. `token` is sent as a bearer's.
    `read_to_s` says how far it came.
    """

    def __init__(
        self,
        url: str,
        *,
        from_s: float,
        until_s: float,
        step_s: float = STEP_S,
        matchers: str = "",
        token: str = "",
        most_bytes: int = MOST_BYTES,
        timeout_s: float = TIMEOUT_S,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        check_http_url(url, "--prometheus")
        if not from_s < until_s:
            raise InputError(
                f"the recording ends before it begins: {rfc3339(from_s)} to {rfc3339(until_s)}"
            )
        self.from_s = from_s
        self.until_s = until_s
        self.read_to_s: float = from_s
        self.n_requests: int = 0
        self._step_s = step_s
        self._matchers = matchers
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s
        self._pause = pause
        self._pods: dict[str, _Pod] = {}
        self._url, self._headers = _split(url, token)
        self._opener = bounded_opener()

    def read(self, on_progress: Callable[[float], None] = lambda _: None) -> None:
        """Read all pages. What was read before an error stays.

        Raises:
            DeniedError: Prometheus refuses the credentials, or they have expired.
            UnreachableError: no answer, after `TRIES` tries.
            InputError: it refuses the query.
            IpamError: it is no Prometheus, or has no such series at all.
        """
        page_s = min(PAGE_S, self._step_s * MOST_POINTS)
        while self.read_to_s < self.until_s:
            end_s = min(self.read_to_s + page_s, self.until_s)
            try:
                found = [
                    (name, list(self._page(name, self.read_to_s, end_s)))
                    for name in ("kube_pod_info", *_VALUES)
                ]
            except _TooLargeError as error:
                if page_s <= self._step_s:
                    raise InputError(
                        f"--prometheus: {error}, in {self._step_s:g} s alone; narrow it with "
                        "--matchers"
                    ) from None
                page_s = max(page_s / 2, self._step_s)
                continue
            for name, series in found:
                for labels, points in series:
                    self._note(name, labels, points)
            self.read_to_s = end_s
            on_progress((end_s - self.from_s) / (self.until_s - self.from_s))

    def _page(
        self, name: str, start_s: float, end_s: float
    ) -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Yield the series of one metric in a page of time, each with its first and last point."""
        matchers = self._matchers
        if name == "kube_pod_info":
            # The label host_network is younger than the metric; its absence matches.
            matchers = ",".join(filter(None, (matchers, 'host_network!="true"')))
            query = f"max by ({_INFO_BY}) ({name}{{{matchers}}})"
            step_s = self._step_s
        else:
            # The value says all: one point for each pod that any sample of the page shows.
            step_s = end_s - start_s
            query = f"max by ({_BY}) (max_over_time({name}{{{matchers}}}[{math.ceil(step_s)}s]))"
            start_s = end_s
        arguments = {"query": query, "start": start_s, "end": end_s, "step": step_s}
        answer = self._ask(arguments)
        if answer.get("resultType") != "matrix" or not isinstance(answer.get("result"), list):
            raise IpamError(f"{self._url} is no Prometheus: its answer is no matrix")
        for series in answer["result"]:
            try:
                ends = (series["values"][0], series["values"][-1])
                points = [(float(at), float(value)) for at, value in ends]
                if not all(math.isfinite(number) for point in points for number in point):
                    raise ValueError
                yield series["metric"], points
            except (KeyError, TypeError, ValueError, IndexError):
                raise IpamError(
                    f"{self._url} is no Prometheus: a series is {quoted(series)}"
                ) from None

    def _note(self, name: str, labels: dict[str, str], points: list[tuple[float, float]]) -> None:
        if "pod" not in labels or "namespace" not in labels:
            return
        full_name = f"{labels['namespace']}/{labels['pod']}"
        key = labels.get("uid") or full_name
        if name != "kube_pod_info":
            pod = self._pods.get(key)
            if pod is not None:
                value = points[-1][1]
                if name == "kube_pod_created":
                    pod.created_s = value
                elif name == "kube_pod_completion_time":
                    pod.completed_s = value
                else:
                    pod.due_s = value
            return
        pod = self._pods.setdefault(key, _Pod(full_name))
        if len(self._pods) > MOST_PODS:
            raise InputError(f"--prometheus: more than {MOST_PODS:,} pods; give a shorter time")
        address = labels.get("pod_ip")
        if address and address == labels.get("host_ip"):
            pod.own_address = False
        if node := labels.get("node"):
            pod.node = node
            pod.first_s = min(pod.first_s, points[0][0])
            pod.last_s = max(pod.last_s, points[-1][0])
        else:
            pod.unplaced_s = max(pod.unplaced_s, points[-1][0])

    @property
    def n_pods(self) -> int:
        """Pods that were seen, with an address of their own or not."""
        return len(self._pods)

    def lives(self) -> Iterator[PodLife]:
        """Yield the lives of the pods that had an address of their own."""
        for pod in self._pods.values():
            if not pod.own_address or not pod.node:
                continue
            waited = pod.unplaced_s > -math.inf
            start_s = pod.first_s if waited or pod.created_s is None else pod.created_s
            yield PodLife(pod=pod.name, node=pod.node, start_s=start_s, end_s=self._end_of(pod))

    def _end_of(self, pod: _Pod) -> float | None:
        if pod.completed_s is not None:
            return pod.completed_s
        if pod.last_s + self._step_s > self.read_to_s:
            return None  # the last sample of all shows it
        end_s = pod.last_s + self._step_s
        if pod.due_s is not None and pod.last_s <= pod.due_s < end_s:
            return pod.due_s
        return end_s

    # --- HTTP -------------------------------------------------------------------------

    def _ask(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a range query's answer; try again where that may help."""
        body = urllib.parse.urlencode(arguments).encode()
        request = urllib.request.Request(
            f"{self._url}/api/v1/query_range", data=body, headers=self._headers
        )
        for left in reversed(range(TRIES)):
            self.n_requests += 1
            try:
                with self._opener.open(request, timeout=self._timeout_s) as reply:
                    content = self._content_of(reply)
                break
            except urllib.error.HTTPError as error:
                with error:
                    said = _error_of(start_of(error)) or str(error.reason)
                    self._refused(error.code, said, last=left == 0)
            except (OSError, HTTPException) as error:
                why = getattr(error, "reason", None) or error
                if left == 0:
                    raise UnreachableError(API, "Unreachable", f"{self._url}: {why}") from None
            self._pause(2.0 ** (TRIES - left - 1))
        try:
            found = json.loads(content)
            data = found["data"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise IpamError(f"{self._url} is no Prometheus: its answer is not its JSON") from None
        if not isinstance(data, dict):
            raise IpamError(f"{self._url} is no Prometheus: {quoted(data)}")
        return data

    def _content_of(self, reply: HTTPResponse) -> bytes:
        """Return a body. Raises `_TooLargeError`: it has too much, or is too slow for its size."""
        try:
            return read_whole(reply, self._most_bytes)
        except LongAnswerError as error:
            raise _TooLargeError(str(error)) from None
        except TimeoutError:
            raise _TooLargeError(f"no whole answer in {self._timeout_s:g} s") from None

    def _refused(self, code: int, said: str, *, last: bool) -> None:
        """Raise what an error status means; return where another try may help."""
        if code in (401, 403):
            raise DeniedError(
                API, str(code), f"{said}: are the credentials right, and not expired?"
            )
        if any(words in said for words in _TOO_MUCH):
            raise _TooLargeError(said)
        if code == 404:
            raise IpamError(f"{self._url} is no Prometheus: it has no /api/v1/query_range")
        if code < 500 and code != 429:
            raise InputError(f"--prometheus: {said}")
        if last:
            raise UnreachableError(API, str(code), f"{self._url}: {said}")


def _split(url: str, token: str) -> tuple[str, dict[str, str]]:
    """Return a URL without its user and password, and the headers that carry them."""
    parts = urllib.parse.urlsplit(url)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if parts.username is not None:
        user = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    elif token:
        headers["Authorization"] = f"Bearer {token}"
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")), headers


def _error_of(content: bytes) -> str:
    """Return what Prometheus says of an error, "" where it is none of its own."""
    try:
        found = json.loads(content)
        return str(found["error"])
    except (ValueError, TypeError, KeyError):
        return ""
