"""The agent's log: its form, its texts, its rotation; and doctor, who reads it."""

import gzip
import json
import logging
import re
from string import Formatter

import pytest

from ipam_core.agent.log import AgentLog
from ipam_core.cli._app import run
from ipam_core.diagnosis.inputs.log import _match
from ipam_core.errors import InputError
from ipam_core.ipamd import log_lines
from ipam_core.ipamd.log_lines import LogLine, short_id
from support.agents import add_request, client_of, log_of, page_of, running
from support.upstream_log import writer

LINES = {name: line for name, line in vars(log_lines).items() if isinstance(line, LogLine)}
NOT_READ = {
    *("ZONE", "MAX_PODS", "INTROSPECTION", "METRICS", "HTTP_REQUEST", "SHUTDOWN", "POLICY_CONFIGS"),
    *("NO_KEY", "NO_MULTI_NIC", "REJECTED_DEL", "NO_CARD", "SENT_DEL", "UNASSIGN_FAILED"),
    *("UNASSIGN_PREFIX_FAILED", "MODIFY_FAILED", "DETACH_FAILED", "DELETE_FAILED", "TAG_FAILED"),
    *("LEAKS_UNKNOWN", "OTHER_FAILED"),
}
"""Lines that doctor passes over: others say what matters."""
logger = logging.getLogger("ipam_core.agent.test")


def example(line):
    """Return a line as it is written, and the values in it."""
    values = {}
    for _, name, spec, _ in Formatter().parse(line.text):
        if name is not None:
            values[name] = len(values) + 3 if spec == "d" else "true" if name in WORDS else "x-1"
    return line.text.format_map(values), values


WORDS = {"value", "room", "success"}


@pytest.mark.parametrize("name", sorted(LINES.keys() - NOT_READ))
def test_doctor_reads_every_line_with_its_values(name):
    text, values = example(LINES[name])
    known, match = _match(text)
    found = {key: value for key, value in match.groupdict().items() if value is not None}
    assert found.items() <= {key: str(value) for key, value in values.items()}.items()
    assert known.kind


@pytest.mark.parametrize("name", sorted(NOT_READ))
def test_what_doctor_passes_over_it_does_not_misread(name):
    assert _match(example(LINES[name])[0]) is None


def test_a_line_is_json_as_the_real_agent_writes_it(tmp_path):
    path = tmp_path / "logs" / "ipamd.log"
    with AgentLog(str(path)):
        logger.warning("a \u202e %s", 'b"c')
        log_lines.POOL.say(logger, card=0, total=3, assigned=2, cooling=1)
    first, second = path.read_text().splitlines()
    assert first.isascii()
    line = json.loads(first)
    assert list(line) == ["level", "ts", "caller", "msg"]
    assert line["level"] == "warn"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
    assert re.fullmatch(r"ipamd/test_log\.py:\d+", line["caller"])
    assert line["msg"] == 'a \u202e b"c'
    assert writer(json.loads(second)["msg"])


def test_a_level_leaves_out_what_is_below(tmp_path):
    path = tmp_path / "ipamd.log"
    with AgentLog(str(path), "WARN"):
        logger.info("no")
        logger.error("yes")
    with AgentLog(str(path), "nonsense"):  # debug, as upstream
        logger.debug("yes, too")
    logger.error("not any more")
    lines = path.read_text().splitlines()
    assert [json.loads(line)["msg"] for line in lines] == ["yes", "yes, too"]


def test_a_large_file_is_put_aside_compressed_and_the_newest_five_are_kept(tmp_path):
    path = tmp_path / "ipamd.log"
    with AgentLog(str(path), largest=2000) as log:
        for number in range(400):
            logger.info("line %d", number)
            log._handler._wait()
    old = sorted(tmp_path.glob("ipamd-*.log.gz"))
    assert len(old) == 5
    assert sorted(tmp_path.iterdir()) == sorted([*old, path])
    kept = "".join(gzip.decompress(each.read_bytes()).decode() for each in old) + path.read_text()
    numbers = [int(json.loads(line)["msg"].split()[1]) for line in kept.splitlines()]
    assert numbers == list(range(numbers[0], 400))
    assert path.stat().st_size <= 2000


def test_a_log_that_cannot_be_written_is_refused_or_passed_over(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="the log"):
        AgentLog(str(tmp_path / "file" / "ipamd.log"))
    with AgentLog("/dev/full"):
        logger.info("lost")


def test_stdout_is_a_log_too(capsys):
    with AgentLog("stdout"):
        logger.info("shown")
    assert json.loads(capsys.readouterr().out)["msg"] == "shown"


@pytest.mark.parametrize(
    "message",
    [
        "dropped 10.0.0.1 of Sandbox('abc', ifname='eth0', network='n'), pod a/b",
        f"sandbox {'0123456789abcdef' * 4} is unknown",
    ],
)
def test_container_ids_in_messages_of_the_library_are_cut(tmp_path, message):
    with AgentLog(str(tmp_path / "ipamd.log")):
        logger.warning("%s", message)
    shown = (tmp_path / "ipamd.log").read_text()
    assert "abc'" not in shown
    assert "0123456789abcdef" not in shown


@pytest.mark.parametrize(
    ("container", "shown"),
    [("0123456789abcdef" * 4, "0123456789abc..."), ("ab", "a..."), ("", "...")],
)
def test_of_a_container_id_the_start_is_shown(container, shown):
    assert short_id(container) == shown


# --- what happened is found in it ------------------------------------------------------------


@pytest.fixture(scope="module")
def stuck(tmp_path_factory):
    """Give the folder of an agent whose 26th pod got no address."""
    folder = tmp_path_factory.mktemp("stuck")
    variables = {"MINIMUM_IP_TARGET": "25"}
    with (
        running(folder, "m8g.4xlarge", variables=variables) as agent,
        client_of(agent) as client,
    ):
        for number in range(26):
            client.add_network(add_request(f"{number:064x}", f"pod-{number}"))
        (folder / "enis.json").write_text(page_of(agent))
        lines = log_of(agent)
    return folder, lines


def test_every_line_of_a_pod_is_one_that_the_real_agent_writes(stuck):
    _, lines = stuck
    ours = re.compile(r"Found vpc|Serving|Handling|Received DelN|Send DelN")
    unknown = {m["msg"] for m in lines if not writer(m["msg"]) and not ours.match(m["msg"])}
    assert {re.sub(r"[\d.]+", "N", text) for text in unknown} <= {
        "Found availability zone: eu-west-Na ",
    }


def test_doctor_finds_the_stall_in_a_log_and_a_page_of_this_agent(stuck, capsys):
    assert run(["doctor", str(stuck[0]), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["cause"] for each in found["found"]] == ["minimum-only stall"]
    assert found["instance_type"] == "m8g.4xlarge"
    assert found["max_pods"] == 234
    assert found["pool"] == {"total": 25, "assigned": 25, "cooling": 0, "assignable": 0}
    assert found["agent"] == "works"


def test_doctor_finds_it_in_the_log_alone(stuck, capsys):
    assert run(["doctor", str(stuck[0] / "ipamd.log"), "--instance", "m8g.4xlarge", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["cause"] for each in found["found"]] == ["minimum-only stall"]
