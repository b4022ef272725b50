"""The log texts that doctor reads are the real agent's, in the fixtures and in the patterns."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from ipam_core.diagnosis.inputs.collect import read_case
from ipam_core.diagnosis.inputs.log import starts
from ipam_core.ipamd.log_messages import AGENT_MESSAGES, PLUGIN
from support.upstream_log import writer

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LOGS = sorted([*HERE.glob("cases/*/*.log"), *ROOT.glob("examples/stuck-node/*.log*")])

TEXTS = (HERE / "upstream_texts.tsv").read_text().splitlines()[1:]
"""Every text that doctor reads: the first and last minor version (v1.N) whose last release
has it in its source, the function that writes it, and its format string."""
VALUES = {
    "%d": "7", "%t": "true", "%q": '"x"', "%+v": "x", "%v": "x", "%s": "x",
}  # fmt: skip
COUNTS = "Total IPs/Prefixes = 7/7, AssignedIPs/CooldownIPs: 7/7"


def written(form):
    """Return what a format string prints, for values of the right kind."""
    text = re.sub(r"%\+?[dtqsv]", lambda verb: VALUES[verb[0]], form)
    if form.startswith(("Using ", "Custom networking", "Subnet disc", "Prefix Delegation enabled")):
        text = re.sub(r"x$", "7" if form.startswith("Using") else "true", text)
    if "for %v: %v" in form:
        text = text.replace("for x: x", "for [eni-1]: x")
    if "custom network config" in form:
        text = "ipamd: using custom network config: [sg-1], subnet-1"
    if re.search(r"(?:stats|pool): %s$", form):
        text = re.sub(r"x$", COUNTS, text)
    return text


def texts():
    """Yield (first, last, function, form, text) of every text."""
    for row in TEXTS:
        first, last, function, form = row.split("\t")
        form = form.encode().decode("unicode_escape")
        yield int(first), int(last), function, form, written(form)


def readers(text):
    return [m for m in (*AGENT_MESSAGES, *PLUGIN) if re.match(m.pattern, text, re.DOTALL)]


@pytest.mark.parametrize("row", list(texts()), ids=lambda row: f"v1.{row[0]}-{row[3][:40]}")
def test_every_text_of_every_version_is_read(row):
    assert readers(row[-1])


@pytest.mark.parametrize("message", [*AGENT_MESSAGES, *PLUGIN], ids=lambda m: m.pattern[:50])
def test_every_pattern_reads_a_text_of_the_agent(message):
    assert any(re.match(message.pattern, text, re.DOTALL) for *_, text in texts())


def versions(*kinds):
    """Return the minor versions that write a line of one of these kinds."""
    found = set()
    for first, last, _, _, text in texts():
        if any(message.kind in kinds for message in readers(text)):
            found |= set(range(first, last + 1))
    return found


@pytest.mark.parametrize(
    ("kinds", "first"),
    [
        (("start",), 5),
        (("no_start",), 5),
        (("type",), 5),
        (("pool",), 3),
        (("works",), 5),
        (("reply",), 5),
        (("no_address",), 5),
        (("eni_limit",), 5),
        (("failure",), 5),
        (("no_eni_config",), 5),
        (("warm_eni", "targets"), 5),
        (("metadata",), 5),
        (("limits_unknown",), 5),
        (("not_written",), 7),
        (("stale",), 7),
        (("no_branch_eni",), 7),
        (("no_trunk",), 7),
        (("warm_prefix",), 9),
        (("unschedulable",), 12),
        (("targets",), 16),
    ],
)
def test_what_doctor_needs_is_read_of_every_minor_version(kinds, first):
    """docs/doctor.md claims v1.5 to v1.23: what an agent of a version can say is read."""
    assert versions(*kinds) == set(range(first, 24))


def lines(path):
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.decode().splitlines()]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_line_of_a_fixture_is_one_the_agent_writes(path):
    for number, line in enumerate(lines(path), 1):
        assert set(line) == {"level", "ts", "caller", "msg"}
        assert writer(line["msg"]), f"{path}:{number}: {line['msg']}"


def test_patterns_start_with_letters_that_tell_them_apart():
    """They are looked up by their first letters (inputs/log.py)."""
    for message in (*AGENT_MESSAGES, *PLUGIN):
        for start in starts(message.pattern):
            assert re.match(r"[\w:\- /.]{6}", start), message.pattern


def test_the_format_of_another_text_is_not_the_agents():
    assert writer("IP pool is empty, sorry") is None


@pytest.mark.parametrize("form", ["json", "console"])
def test_every_text_is_found_in_a_log(form, tmp_path):
    """The reader looks texts up by their first letters, and takes both forms of a line."""
    every = [text for *_, text in texts()]
    rows = [
        json.dumps({"level": "info", "ts": "2026-03-12T02:58:00.000Z", "caller": "x", "msg": text})
        if form == "json"
        else f"2026-03-12T02:58:00.000Z [INFO]\t{text}"
        for text in every
    ]
    (tmp_path / "ipamd.log").write_text("\n".join(rows) + "\n")
    case = read_case([tmp_path])
    read = [log.n_known for log in (case.log, case.container, case.plugin)]
    assert sum(read) == len(every)
    assert case.log.n_broken == 0
