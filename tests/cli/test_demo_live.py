"""The incident is the same on a running agent, over its socket, ports and log."""

import json

import pytest

from ipam_core.cli import _demo_live
from ipam_core.cli._app import run

pytest.importorskip("grpc", reason="needs the extra `agent`")


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(_demo_live, "SPEED", 40.0)
    monkeypatch.setattr(_demo_live, "SPEED_OF_PROMISE", 4.0)


def test_the_live_story_goes_as_the_simulated_one(fast, capsys):
    assert run(["demo", "--live", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["waiting"] == ["default/pod-26"]
    assert said["verdict"].startswith("MINIMUM_IP_TARGET=25 without WARM_IP_TARGET")
    assert all("no available IP/Prefix addresses" in line for line in said["log"])
    assert said["enis"]["stalled"]["0"]["AssignedIPs"] == 25
    restarted = said["enis"]["restarted"]["0"]
    assert restarted["AssignedIPs"] == 30
    assert restarted["TotalIPs"] == 40
    assert 0 < said["longest_wait_s"] <= 10
    served = {pod.removeprefix("default/") for pod in said["served_after_restart"]}
    assert served == {f"pod-{number}" for number in range(26, 31)}


def test_it_is_told_on_one_screen_and_says_what_went_wrong(fast, capsys, monkeypatch):
    monkeypatch.setattr(_demo_live, "FIXED", _demo_live.STALLING)  # the fix is forgotten
    monkeypatch.setattr(_demo_live, "SPEED_OF_PROMISE", 20.0)  # and it is no success anyway
    assert run(["demo", "--live"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "  device 0  #########################....  25 assigned, 0 free" in lines


def test_a_story_without_a_stall_is_shown_and_is_no_success(fast, capsys, monkeypatch):
    monkeypatch.setattr(_demo_live, "STALLING", _demo_live.FIXED)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # nobody; it is not asked
    assert run(["demo", "--live"]) == 1
    out = capsys.readouterr().out
    assert "26 pods got an address\n" in out
    assert "waits" not in out
