"""The agent's metrics, :61678/metrics, in Prometheus' text form.

Source: utils/prometheusmetrics of aws/amazon-vpc-cni-k8s for the names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipam_core.diagnosis.inputs.case import MOST_ADDRESSES, Evidence, Source

if TYPE_CHECKING:
    from ipam_core.diagnosis.inputs.case import Case

MARK = "awscni_"
_SAMPLE = re.compile(
    r"^awscni_(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>[-+.\deE]+)(?: \d+)?$"
)
_KEPT = frozenset({
    "total_ip_addresses", "assigned_ip_addresses", "total_ipv4_prefixes", "eni_allocated",
    "eni_max", "ip_max", "no_available_ip_addresses",
})  # fmt: skip


def _is_count(value: str) -> bool:
    try:
        return 0 <= float(value) <= MOST_ADDRESSES
    except ValueError:
        return False


def is_metrics(lines: list[str]) -> bool:
    """Return whether lines are the agent's metrics."""
    return any(line.startswith((MARK, f"# HELP {MARK}", f"# TYPE {MARK}")) for line in lines)


def read_metrics(content: str, file: str, case: Case) -> None:
    """Add to the case the counts of the pool and the agent's version."""
    for number, line in enumerate(content.splitlines(), 1):
        match = _SAMPLE.match(line.strip())
        if match is None:
            continue
        name, value = match["name"], match["value"]
        if name == "build_info" and (version := re.search(r'\bversion="([^"]*)"', match["labels"])):
            name, value = "version", version[1]
        elif name not in _KEPT or not _is_count(value):
            continue
        case.metrics[name] = Evidence(file=file, line=number, value=value, source=Source.METRICS)
