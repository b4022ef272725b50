"""The page of what EC2 answers says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from ipam_core.cloud import refusals
from ipam_core.endpoint.account import Delays
from ipam_core.endpoint.actions.table import ACTIONS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "ec2-calls.md").read_text("utf-8")


def test_every_call_is_on_the_page_and_no_other():
    table = PAGE.split("## The calls")[1].split("##")[0]
    named = {name for row in re.findall(r"^\| ([^|]+) \|", table, re.M)[2:]
             for name in re.findall(r"[A-Z]\w*[a-z][A-Z]\w+", row)}  # fmt: skip
    assert named == {action for _, action in ACTIONS}


def test_every_refusal_is_on_the_page_as_it_is():
    table = PAGE.split("| code | text | source |")[1]
    rows = re.findall(r"^\| `(\w[\w.]+)`(?: \(HTTP (\d+)\))? \| (.+) \| ([A-D]+) \|$", table, re.M)
    found = [(code, int(status or 400), text, source) for code, status, text, source in rows]
    expected = [
        (each.code, each.status, each.text, each.source)
        for each in vars(refusals).values()
        if isinstance(each, refusals.Refusal)
    ]
    assert found == expected


def test_the_delays_are_those_of_the_page():
    table = PAGE.split("## States that take time")[1].split("##")[0]
    shown = [int(seconds) for seconds in re.findall(r"\| (\d+) s \|", table)]
    assert [0, *shown] == [field.default for field in fields(Delays)]
