"""The example in docs/aws.md, run as it stands."""

from __future__ import annotations

import re
import time
from pathlib import Path
from textwrap import dedent

import pytest

from ipam_core.cloud.imds import Imds

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "aws.md"


class EnoughError(Exception):
    pass


def test_the_first_example_grows_the_pool_of_the_node_it_runs_on(world, monkeypatch):
    code = re.search(r"^    .*\n(?:    .*\n|\n)*", DOCUMENT.read_text(), re.MULTILINE).group()
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise EnoughError

    monkeypatch.setenv("AWS_ENDPOINT_URL", world.proxy_url)
    monkeypatch.setattr(Imds.__init__, "__defaults__", (world.imds_url,))
    monkeypatch.setattr(time, "sleep", sleep)
    names = {}
    with pytest.raises(EnoughError):
        exec(dedent(code), names)
    assert slept == [5, 5, 5]
    assert names["node"].store.stats().total == 5
    (eni,) = world.enis().values()
    assert len(eni["PrivateIpAddresses"]) == 6
