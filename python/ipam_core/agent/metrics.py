"""The agent's metrics, by upstream's names and labels, as Prometheus' text.

Counters, summaries and histograms are prometheus_client's, fed where things happen; what the
pool holds is read from its stores when somebody asks. The names of counters have no `_total`:
dashboards and cni-metrics-helper know them so, and prometheus_client would append it. So the
text is written here.

Source: utils/prometheusmetrics and pkg/version of aws/amazon-vpc-cni-k8s v1.23.1.
"""

from __future__ import annotations

import platform
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.agent.pool_gauges import PREFIX, pool_gauges

with extra("agent", "the agent's metrics"):
    from prometheus_client import Counter, Gauge, Histogram, Summary
    from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from ipam_core.errors import CloudError
    from ipam_core.node.state import NodeState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DEL_REASONS = frozenset({"PodDeleted", "SetupNSFailed", ""})
"""What plugins send; another is counted as "other", so that nobody fills the memory."""
_GO_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts what happens in one agent. For threads.

    `by_subnet` adds a label `subnet` to awscni_total_ip_addresses and awscni_eni_allocated,
    as users asked (#3619); without it both are as upstream has them.
    """

    def __init__(self, *, version: str = "", by_subnet: bool = False) -> None:
        self._by_subnet = by_subnet
        self._node: NodeState | None = None
        self._metrics: list[Any] = []
        counter, gauge = self._counter, self._gauge

        self.agent_errors: Any = counter("ipamd_error_count", "Errors of the agent", "fn")
        self._in_progress = gauge("ipamd_action_inprogress", "Actions under way", "fn")
        self.reconciled: Any = counter("reconcile_count", "What reconciles changed", "fn")
        self.add_requests: Any = counter("add_ip_req_count", "Requests for an address")
        self._del_requests = counter("del_ip_req_count", "Requests to release one", "reason")
        counter("pod_eni_error_count", "Errors about pod ENIs", "fn")  # without a value
        self._api_errors = counter("aws_api_error_count", "Errors of AWS", "api", "error")
        self._utils_errors = counter(
            "aws_utils_error_count", "Errors that undoing a call met", "fn", "error"
        )
        self._ec2_requests = counter("ec2api_req_count", "Calls of EC2", "fn")
        self._ec2_errors = counter("ec2api_error_count", "Calls of EC2 that failed", "fn")
        self.force_removed_enis: Any = counter(
            "force_removed_enis", "ENIs that went while pods had addresses of them"
        )
        self.force_removed_ips: Any = counter(
            "force_removed_ips", "Addresses that went while pods had them"
        )
        self.no_address: Any = counter(
            "no_available_ip_addresses", "Requests that met no free address"
        )
        self.connmark_reconciled: Any = counter(
            "connmark_reconcile_total", "Set-ups of the connection mark", "result"
        )
        self.connmark_backend: Any = gauge(
            "connmark_backend", "What sets connection marks", "backend"
        )
        build = gauge("build_info", "What runs: 1", "version", "goversion")
        build.labels(version=version, goversion=f"python{platform.python_version()}").set(1)
        for result in ("success", "error"):
            self.connmark_reconciled.labels(result=result)
        labels = ("api", "error", "status")
        self._latency = self._keep(
            Summary(f"{PREFIX}aws_api_latency_ms", "Latency of calls in ms", labels, registry=None)
        )
        self.startup: Any = self._histogram(
            "ipamd_startup_duration_seconds",
            "From the process' start until pods are served",
            ("success", "with_api_server", "failure_reason"),
        )
        self.node_initialization: Any = self._histogram(
            "ipamd_node_initialization_duration_seconds", "The node's own start", ("success",)
        )

    def _keep(self, metric: Any) -> Any:
        self._metrics.append(metric)
        return metric

    def _counter(self, name: str, what: str, *labels: str) -> Any:
        return self._keep(Counter(PREFIX + name, what, labels, registry=None))

    def _gauge(self, name: str, what: str, *labels: str) -> Any:
        return self._keep(Gauge(PREFIX + name, what, labels, registry=None))

    def _histogram(self, name: str, what: str, labels: Iterable[str]) -> Any:
        return self._keep(
            Histogram(PREFIX + name, what, labels, registry=None, buckets=_GO_BUCKETS)
        )

    # --- what happens ---------------------------------------------------------------

    def watch(self, node: NodeState) -> None:
        """Show this node's pool from now on."""
        self._node = node

    def agent_error(self, function: str) -> None:
        """Count an error of the agent, by upstream's name for where it happened."""
        self.agent_errors.labels(fn=function).inc()

    def del_request(self, reason: str) -> None:
        """Count a request to release an address."""
        self._del_requests.labels(reason=reason if reason in DEL_REASONS else "other").inc()

    def call(self, api: str, seconds: float, error: CloudError | None, *, ec2: bool) -> None:
        """Count a call of AWS: of EC2, or of instance metadata."""
        status = "200" if error is None else error.code
        failed = "false" if error is None else "true"
        self._latency.labels(api=api, error=failed, status=status).observe(seconds * 1000)
        if ec2:
            self._ec2_requests.labels(fn=api).inc()
        if error is None:
            return
        self._api_errors.labels(api=api, error=error.code).inc()
        if ec2:
            self._ec2_errors.labels(fn=api).inc()

    def undoing_failed(self, function: str, error: CloudError) -> None:
        """Count that what a failed call left could not be undone either."""
        self._utils_errors.labels(fn=function, error=error.code).inc()

    @contextmanager
    def in_progress(self, function: str) -> Iterator[None]:
        """Show an action as under way meanwhile."""
        gauge = self._in_progress.labels(fn=function)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    # --- what is shown --------------------------------------------------------------

    def text(self) -> str:
        """Return all metrics as Prometheus' text; a metric without values is left out."""
        families = [family for metric in self._metrics for family in metric.collect()]
        if self._node is not None:
            families += pool_gauges(self._node, by_subnet=self._by_subnet)
        return "".join(map(_family_text, sorted(families, key=lambda family: family.name)))


def _family_text(family: Metric) -> str:
    # prometheus_client takes `_total` off a counter's name and puts it on its samples.
    name = family.name
    lines = []
    for sample in family.samples:
        shown = sample.name
        if shown.endswith("_created"):
            continue
        if family.type == "counter":
            shown = name = _counter_name(family.name)
        value = floatToGoString(sample.value)  # type: ignore[no-untyped-call]
        lines.append(f"{shown}{_labels_text(sample.labels)} {value}\n")
    if not lines:
        return ""
    return f"# HELP {name} {family.documentation}\n# TYPE {name} {family.type}\n" + "".join(lines)


def _counter_name(name: str) -> str:
    """Return a counter's name as upstream has it: one of them does end in `_total`."""
    return f"{name}_total" if name == f"{PREFIX}connmark_reconcile" else name


def _labels_text(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
