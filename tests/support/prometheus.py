"""Prometheus for the tests: a small one that answers range queries, and the real one."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from support.servers import serving

QUERY = re.compile(
    r"max by \((?P<by>[\w, ]+)\) \((?:max_over_time\()?(?P<name>\w+)"
    r"\{(?P<matchers>[^}]*)\}(?:\[(?P<window>\d+)s\]\))?\)"
)


@dataclass
class Series:
    """One series: its value at every scrape from `from_s` to `until_s`."""

    name: str
    labels: dict
    from_s: float
    until_s: float
    value: float = 1.0
    every_s: float = 15.0

    def times(self):
        count = int((self.until_s - self.from_s) / self.every_s + 1e-9) + 1
        return [self.from_s + n * self.every_s for n in range(count)]


@dataclass
class Pods:
    """What kube-state-metrics shows of pods, as series."""

    series: list = field(default_factory=list)

    def add(self, name, node, created_s, seen, *, ip="10.0.0.9", completed=None, due=None, **info):
        """Show a pod in the samples from `seen[0]` to `seen[1]`."""
        labels = {"namespace": "default", "pod": name, "uid": info.pop("uid", f"uid-{name}")}
        info = {"node": node, "host_ip": "10.0.0.1", "pod_ip": ip, "host_network": "false"} | info
        self.series.append(Series("kube_pod_info", labels | info, *seen))
        self.series.append(Series("kube_pod_created", labels, *seen, value=created_s))
        if completed is not None:
            end = (completed, seen[1])
            self.series.append(Series("kube_pod_completion_time", labels, *end, value=completed))
        if due is not None:
            end = (seen[1], seen[1])
            self.series.append(Series("kube_pod_deletion_timestamp", labels, *end, value=due))
        return self

    def openmetrics(self):
        """Return all samples as OpenMetrics' text, which promtool makes blocks of."""
        lines = []
        for name in dict.fromkeys(each.name for each in self.series):
            lines.append(f"# TYPE {name} gauge")
            for each in self.series:
                if each.name == name:
                    pairs = ",".join(f'{key}="{value}"' for key, value in each.labels.items())
                    lines += [f"{name}{{{pairs}}} {each.value} {at}" for at in each.times()]
        return "\n".join([*lines, "# EOF", ""])


class SmallPrometheus:
    """Answers the queries that the reader asks, out of series; counts and refuses as told.

    `refusals` are (status, error) that are answered first; `most_samples` bounds a query as
    `query.max-samples` does; the first `n_cut` answers end in the middle.
    """

    def __init__(self, pods):
        self.pods = pods
        self.refusals = []
        self.after = 0
        self.most_samples = None
        self.n_cut = 0
        self.requests = []
        self.headers = []

    def __call__(self, request):
        asked = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        self.requests.append(asked)
        self.headers.append(dict(request.headers))
        if self.refusals and len(self.requests) > self.after:
            status, error = self.refusals.pop(0)
            request.reply(status, json.dumps({"status": "error", "error": error}).encode())
            return
        found = self.answer(asked)
        if found is None:
            error = "query processing would load too many samples into memory in query execution"
            request.reply(422, json.dumps({"status": "error", "error": error}).encode())
        else:
            data = {"resultType": "matrix", "result": found}
            body = json.dumps({"status": "success", "data": data}).encode()
            cut = len(body) // 2 if self.n_cut else len(body)
            request.close_connection = self.n_cut > 0
            self.n_cut = max(self.n_cut - 1, 0)
            request.reply(200, body[:cut], length=len(body))

    def answer(self, asked):
        parts = QUERY.fullmatch(asked["query"])
        start, end, step = (float(asked[key]) for key in ("start", "end", "step"))
        n_steps = int((end - start) / step + 1e-9) + 1
        times = [start + n * step for n in range(n_steps)]
        by = parts["by"].split(", ")
        groups = {}
        n_samples = 0
        for series in self.pods.series:
            if series.name != parts["name"] or not matches(series.labels, parts["matchers"]):
                continue
            group = groups.setdefault(tuple(series.labels.get(key, "") for key in by), {})
            window = float(parts["window"] or series.every_s)  # a stale marker ends it at once
            for at in times:
                if series.from_s <= at and at - window < series.until_s:
                    group[at] = max(group.get(at, 0), series.value)
                    n_samples += 1
        if self.most_samples is not None and n_samples > self.most_samples:
            return None
        return [
            {
                "metric": {key: value for key, value in zip(by, labels, strict=True) if value},
                "values": [[at, str(value)] for at, value in sorted(points.items())],
            }
            for labels, points in groups.items()
            if points
        ]


def matches(labels, matchers):
    """Return whether labels match; of operators there are = and !=."""
    found = re.findall(r'(\w+)(!?=)"([^"]*)"', matchers)
    return all((labels.get(key, "") == value) == (how == "=") for key, how, value in found)


@contextmanager
def small_prometheus(pods):
    """Serve a small Prometheus; yield it, with its URL."""
    server = SmallPrometheus(pods)
    with serving(server) as url:
        server.url = url
        yield server


def has_real_prometheus():
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


@contextmanager
def real_prometheus(pods, folder):
    """Run the real Prometheus over these samples; yield its URL."""
    text, data = folder / "samples.txt", folder / "data"
    text.write_text(pods.openmetrics())
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, data],
        check=True,
        capture_output=True,
    )
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
             "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=1) as reply:
                    if reply.status == 200:
                        break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait()
