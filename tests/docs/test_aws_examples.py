"""AWS's published examples next to the results of this package: the page is made from here."""

import os
from functools import cache
from pathlib import Path

import pytest

from ipam_core import instances
from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "aws-examples.md"
START, END = "<!-- made by tests/docs/test_aws_examples.py -->", "<!-- end -->"

# docs/eni-and-ip-target.md of aws/amazon-vpc-cni-k8s: type, WARM_ENI_TARGET, WARM_IP_TARGET,
# MINIMUM_IP_TARGET, pods; ENIs, secondary IPs, unused.
SECONDARY = [
    ("t3.small", "1", "", "", 0, (1, 3, 3)),
    ("t3.small", "1", "", "", 5, (3, 9, 4)),
    ("t3.small", "1", "", "", 9, (3, 9, 0)),
    ("t3.small", "", "1", "1", 0, (1, 1, 1)),
    ("t3.small", "", "1", "1", 5, (2, 6, 1)),
    ("t3.small", "", "1", "1", 9, (3, 9, 0)),
    ("t3.small", "", "2", "5", 0, (2, 5, 5)),
    ("t3.small", "", "2", "5", 5, (3, 7, 2)),
    ("t3.small", "", "2", "5", 9, (3, 9, 0)),
    ("p3dn.24xlarge", "1", "", "", 0, (1, 49, 49)),
    ("p3dn.24xlarge", "1", "", "", 3, (2, 98, 95)),
    ("p3dn.24xlarge", "1", "", "", 95, (3, 147, 52)),
    ("p3dn.24xlarge", "", "5", "10", 0, (1, 10, 10)),
    ("p3dn.24xlarge", "", "5", "10", 7, (1, 12, 5)),
    ("p3dn.24xlarge", "", "5", "10", 15, (1, 20, 5)),
    ("p3dn.24xlarge", "", "5", "10", 45, (2, 50, 5)),
]
# docs/prefix-and-ip-target.md: WARM_PREFIX_TARGET in place of WARM_ENI_TARGET; ENIs, prefixes,
# unused addresses.
PREFIXES = [
    ("t3.small", "1", "", "", 0, (1, 1, 16)),
    ("t3.small", "1", "", "", 5, (1, 2, 27)),
    ("t3.small", "1", "", "", 16, (1, 2, 16)),
    ("t3.small", "1", "", "", 17, (1, 3, 31)),
    ("t3.small", "1", "", "", 58, (2, 5, 22)),
    ("t3.small", "", "1", "1", 0, (1, 1, 16)),
    ("t3.small", "", "1", "1", 5, (1, 1, 11)),
    ("t3.small", "", "1", "1", 17, (1, 2, 15)),
    ("t3.small", "", "1", "1", 58, (2, 4, 6)),
    ("t3.small", "", "7", "20", 0, (1, 1, 16)),
    ("t3.small", "", "7", "20", 5, (1, 2, 27)),
    ("t3.small", "", "7", "20", 17, (1, 2, 15)),
    ("t3.small", "", "7", "20", 58, (2, 5, 22)),
    ("p3dn.24xlarge", "1", "", "", 0, (1, 1, 16)),
    ("p3dn.24xlarge", "1", "", "", 3, (2, 2, 29)),
    ("p3dn.24xlarge", "1", "", "", 95, (3, 7, 17)),
    ("p3dn.24xlarge", "", "5", "10", 0, (1, 1, 16)),
    ("p3dn.24xlarge", "", "5", "10", 7, (1, 1, 9)),
    ("p3dn.24xlarge", "", "5", "10", 15, (1, 2, 17)),
    ("p3dn.24xlarge", "", "5", "10", 45, (2, 4, 19)),
]
DIFFER = {
    ("t3.small", "", "7", "20", 0): (
        "its own column of prefixes per ENI says 2, as 20 addresses need"
    ),
    ("p3dn.24xlarge", "1", "", "", 3): "49 slots are on the first ENI: no second is needed",
    ("p3dn.24xlarge", "1", "", "", 95): "the same",
    ("p3dn.24xlarge", "", "5", "10", 45): "the same",
}
"""Rows of AWS's table for prefixes that contradict its text, and why."""

# EKS user guide and max-pods-calculator.sh: type, settings, maxPods.
CUSTOM = Settings(custom_networking=True)
PREFIX = Settings(enable_prefix_delegation=True)
MAX_PODS = [
    ("m5.large", "secondary IPs", Settings(), 29),
    ("m5.large", "prefixes", PREFIX, 110),
    ("m5.large", "custom networking", CUSTOM, 20),
    ("t3.medium", "secondary IPs", Settings(), 17),
    ("t4g.small", "prefixes", PREFIX, 110),
    ("c5.large", "secondary IPs", Settings(), 29),
    ("m5.24xlarge", "prefixes", PREFIX, 250),
    ("c5.9xlarge", "prefixes", PREFIX, 250),
]


@cache
def played(instance_type, *env):
    return explain(instance_type, dict(env)).play.up


def ours(row, *, prefixes):
    """Return ENIs, slots in use and unused addresses, as played."""
    instance_type, warm, warm_ip, minimum, pods, _ = row
    first = "WARM_PREFIX_TARGET" if prefixes else "WARM_ENI_TARGET"
    env = {first: warm, "WARM_IP_TARGET": warm_ip, "MINIMUM_IP_TARGET": minimum}
    if prefixes:
        env["ENABLE_PREFIX_DELEGATION"] = "true"
    level = played(instance_type, *((name, value) for name, value in env.items() if value))[pods]
    return level.enis, sum(level.per_eni), level.total - level.pods


@pytest.mark.parametrize("row", SECONDARY, ids=str)
def test_secondary_ips_are_those_of_awss_table(row):
    assert ours(row, prefixes=False) == row[-1]


@pytest.mark.parametrize("row", PREFIXES, ids=str)
def test_prefixes_are_those_of_awss_table_but_where_it_contradicts_itself(row):
    assert (ours(row, prefixes=True) == row[-1]) == (row[:-1] not in DIFFER)


@pytest.mark.parametrize("row", MAX_PODS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_max_pods_are_those_of_aws(row):
    name, _, settings, value = row
    assert calculated(name, settings) == value


def calculated(name, settings):
    found = instances.max_pods(instances.limits(name), settings)
    return found.calculated if settings == CUSTOM else found.value


def made():
    """Return the tables as the page has them."""
    lines = []
    for title, first, slots, rows in (
        ("Secondary IPs", "WARM_ENI", "IPs", SECONDARY),
        ("Prefixes", "WARM_PREFIX", "prefixes", PREFIXES),
    ):
        what = f"AWS: ENIs, {slots}, unused"
        lines += [
            f"## {title}",
            "",
            f"| type | `{first}` | `WARM_IP` | `MINIMUM_IP` | pods | {what} | here | |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for row in rows:
            found = ours(row, prefixes=slots == "prefixes")
            cells = [*(cell or "-" for cell in row[:4]), row[4], *map(_shown, (row[-1], found))]
            note = DIFFER.get(row[:-1], "") if slots == "prefixes" else ""
            lines.append(f"| {' | '.join(map(str, cells))} | {note} |")
        lines.append("")
    lines += ["## maxPods", "", "| type | mode | AWS | here |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {mode} | {value} | {calculated(name, settings)} |"
        for name, mode, settings, value in MAX_PODS
    ]
    return "\n".join(lines)


def _shown(numbers):
    return ", ".join(map(str, numbers))


def test_the_page_has_the_tables_as_they_are_made():
    text = PAGE.read_text("utf-8")
    before, rest = text.split(START + "\n\n")
    inside, after = rest.split("\n\n" + END)
    if os.environ.get("IPAM_CORE_WRITE_PAGES"):
        PAGE.write_text(f"{before}{START}\n\n{made()}\n\n{END}{after}", "utf-8")
    else:
        assert inside == made()
