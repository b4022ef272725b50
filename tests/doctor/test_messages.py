"""The log texts that doctor reads are the real agent's, in the fixtures and in the patterns."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from doctor.upstream import writer
from ipam_core.ipamd.messages import AGENT_MESSAGES

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LOGS = sorted([*HERE.glob("cases/*/*.log"), *ROOT.glob("examples/stuck-node/*.log*")])

OTHER_TEXTS = {
    "attachENI": "Failed to attach ENI eni-1: operation error EC2: AttachNetworkInterface, https "
    "response error StatusCode: 400, RequestID: 1, api error AttachmentLimitExceeded: full",
    "awsGetFreeDeviceNumber": "awsGetFreeDeviceNumber: Unable to retrieve instance data from EC2 "
    "control plane operation error EC2: DescribeInstances, api error RequestLimitExceeded: x",
    "DescribeAllENIs": "Failed to call ec2:DescribeNetworkInterfaces for [eni-1 eni-2]: "
    "UnauthorizedOperation: You are not authorized to perform this operation.",
    "getENIAttachmentID": "Failed to get ENI eni-1 information from EC2 control plane operation "
    "error EC2: DescribeNetworkInterfaces, api error UnauthorizedOperation: no",
    "getMaxENI": "Using MAX_ENI 2",
    "createENI": "Failed to call ec2:DescribeSubnets: AllocENI: unable to describe subnets: "
    "operation error EC2: DescribeSubnets, api error RequestLimitExceeded: no",
    "nodeInit": "No ENIConfig could be found for this node%!(EXTRA <nil>)",
}
"""By writer: what doctor knows and no fixture log has."""


def lines(path):
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.decode().splitlines()]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_line_of_a_fixture_is_one_the_agent_writes(path):
    for number, line in enumerate(lines(path), 1):
        assert set(line) == {"level", "ts", "caller", "msg"}
        assert writer(line["msg"]), f"{path}:{number}: {line['msg']}"


@pytest.mark.parametrize("message", AGENT_MESSAGES, ids=lambda message: message.function)
def test_every_pattern_matches_a_text_of_the_agent(message):
    function = message.function.removeprefix("awsutils.")
    texts = [line["msg"] for path in LOGS for line in lines(path)]
    writers = {writer(text) for text in texts if re.match(message.pattern, text, re.DOTALL)}
    other = OTHER_TEXTS.get(function, "")
    assert function in writers or re.match(message.pattern, other, re.DOTALL)


def test_patterns_start_with_letters_that_tell_them_apart():
    """They are looked up by their first letters (inputs/log.py)."""
    for message in AGENT_MESSAGES:
        start = re.sub(r"^\(\?:[^)]*\)", "", message.pattern)
        assert re.match(r"[\w:\- ]{6}", start if start == message.pattern else "IP" + start)


def test_the_format_of_another_text_is_not_the_agents():
    assert writer("IP pool is empty, sorry") is None
