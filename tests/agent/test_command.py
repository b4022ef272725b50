"""`ipam-core agent`: what it refuses, what it says, and the walk that docs/agent.md shows."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from ipam_core.agent import places
from ipam_core.agent.cluster_reader import ClusterConfig
from ipam_core.agent.config import AgentConfig
from ipam_core.agent.environment import AGENT_VARIABLES, WITHOUT_EFFECT, NetworkSettings
from ipam_core.agent.protocol.client import Client
from ipam_core.cli import agent as agent_command
from ipam_core.cli._app import run
from ipam_core.cloud.host import HostSettings
from ipam_core.errors import InputError
from ipam_core.variables import ADDRESS_VARIABLES, OTHER_VARIABLES
from support import python
from support.agents import add_request, log_of, running

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--simulate", "m5.lrge"], "unknown instance type 'm5.lrge'; nearest: m5.large"),
        (["--simulate", "m5.large", "-e", "WARM_IP"], "-e takes NAME=VALUE, not 'WARM_IP'"),
        (["-e", "WARM_IP_TARGT=3"], "'WARM_IP_TARGT'; nearest: WARM_IP_TARGET"),
        (["--simulate", "m5.large", "--endpoint-url", "http://x"], "not both"),
        (["--policy", "best"], "unknown policy 'best'; known: vpc-cni, ipam-core"),
        (["--simulate", "m5.large", "--tcp", "0.0.0.0:1"], "on the loopback only"),
        (["--simulate", "m5.large", "--metrics", "61678"], "an address is HOST:PORT"),
        (["--simulate", "m5.large", "--introspection", "unix:"], "'unix:': a path is needed"),
        (["--simulate", "m5.large", "--metrics", "127.0.0.1:" + "9" * 5000], "an address is HOST"),
        (["--simulate", "m5.large", "--host-network", "yes"], "'yes': apply, or record"),
        (["--kubeconfig", "x"], "MY_NODE_NAME must be set"),
        (
            ["--simulate", "m5.large", "-e", "NETWORK_POLICY_ENFORCING_MODE=loose"],
            "'loose': known are none, strict, standard",
        ),
        (["--simulate", "m5.large", "--max-pods", "0"], "--max-pods"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, why, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("MY_NODE_NAME", raising=False)
    assert run(["agent", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert why in line


def test_the_files_of_a_simulated_agent_are_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    config = AgentConfig.from_env({}, simulated=True)
    assert config.socket == tmp_path / "ipam-core" / "ipamd.sock"
    assert config.log == str(tmp_path / "ipam-core" / "ipamd.log")
    config.socket.parent.mkdir()
    config.socket.touch()
    assert places.find_socket() == config.socket
    config.socket.unlink()
    monkeypatch.setattr(places, "NODE_SOCKET", tmp_path / "nowhere")
    assert places.find_socket() == config.socket
    (tmp_path / "nowhere").touch()
    assert places.find_socket() == tmp_path / "nowhere"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert places.user_folder().name == f"ipam-core-{os.getuid()}"
    real = AgentConfig.from_env({})
    assert (real.socket, real.log) == (tmp_path / "nowhere", str(places.NODE_LOG))


def test_upstreams_variables_give_the_defaults_and_options_go_over_them():
    variables = {
        "INTROSPECTION_BIND_ADDRESS": "unix:/run/i.sock",
        "DISABLE_METRICS": "true",
        "AWS_VPC_K8S_CNI_LOGLEVEL": "INFO",
        "AWS_VPC_K8S_CNI_LOG_FILE": "/tmp/x.log",
        "DISABLE_LEAKED_ENI_CLEANUP": "1",
        "WARM_IP_TARGET": "7",
    }
    config = AgentConfig.from_env(variables)
    assert (config.introspection, config.metrics) == ("unix:/run/i.sock", None)
    assert (config.log, config.log_level, config.clean_leaked) == ("/tmp/x.log", "INFO", False)
    assert config.settings.warm_ip_target == 7
    over = AgentConfig.from_env(
        variables, introspection="127.0.0.1:1", metrics="127.0.0.1:2", log="y.log"
    )
    assert (over.introspection, over.metrics, over.log) == ("127.0.0.1:1", "127.0.0.1:2", "y.log")
    off = AgentConfig.from_env({"DISABLE_INTROSPECTION": "true"})
    assert (off.introspection, off.metrics) == (None, places.METRICS)


def test_each_agent_with_a_socket_of_its_own_has_a_log_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for simulated in (True, False):
        logs = {
            AgentConfig.from_env({}, simulated=simulated, socket=socket).log
            for socket in (None, tmp_path / "a" / "ipamd.sock", tmp_path / "b.sock", tmp_path / "b")
        }
        assert {str(tmp_path / "a" / "ipamd.log"), str(tmp_path / "b.log")} < logs
        usual = places.user_socket() if simulated else places.NODE_SOCKET
        named = AgentConfig.from_env({}, simulated=simulated, socket=usual)
        assert named == AgentConfig.from_env({}, simulated=simulated)
    given = {"AWS_VPC_K8S_CNI_LOG_FILE": "x.log"}
    assert AgentConfig.from_env(given, socket=tmp_path / "b.sock").log == "x.log"


class Read(dict):
    """Variables that note which of them are asked for."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def get(self, name, default=None):
        self.names.add(name)
        return super().get(name, default)

    def __contains__(self, name):
        self.names.add(name)
        return super().__contains__(name)


def test_a_variable_that_nobody_reads_is_named_as_such(monkeypatch):
    """ADDITIONAL_ENI_TAGS, POD_MTU and others were accepted, and nothing was said."""
    monkeypatch.setattr("ipam_core.agent.config.without_effect", lambda _: ())
    read = Read()
    config = AgentConfig.from_env(read)
    read["MY_NODE_NAME"] = "n"
    ClusterConfig.from_env(read, kubeconfig=Path("k"))
    agent_command._on_ec2(read, config, None, None, None, None)
    accepted = OTHER_VARIABLES | AGENT_VARIABLES
    assert accepted - read.names - ADDRESS_VARIABLES == WITHOUT_EFFECT


def test_variables_without_effect_are_one_line_of_the_log(tmp_path):
    said = "without effect in this agent: ENABLE_NFTABLES, POD_MTU"
    usual = {"ADDITIONAL_ENI_TAGS": "{}", "ENABLE_V6_EGRESS": "False", "AWS_CLUSTER_ID": ""}
    set_here = {"POD_MTU": "1300", "ENABLE_NFTABLES": "true"}
    for variables, n_lines in ((usual, 0), (usual | set_here, 1)):
        folder = tmp_path / str(n_lines)
        folder.mkdir()
        with running(folder, variables=variables) as agent:
            lines = [line for line in log_of(agent) if "without effect" in line["msg"]]
        assert len(lines) == n_lines
        assert all((line["level"], line["msg"]) == ("warn", said) for line in lines)


def test_what_does_not_parse_is_the_default_as_upstream_has_it():
    odd = {
        "AWS_VPC_K8S_CNI_EXTERNALSNAT": "yes",
        "AWS_VPC_K8S_CNI_CONNMARK": "-1",
        "AWS_VPC_K8S_CNI_RANDOMIZESNAT": "maybe",
        "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "2001:db8::/64,nonsense/8,10.1.2.3",
    }
    assert NetworkSettings.from_env(odd) == NetworkSettings()
    with pytest.raises(InputError, match="NETWORK_POLICY_ENFORCING_MODE"):
        NetworkSettings.from_env({"NETWORK_POLICY_ENFORCING_MODE": "x"})


def test_what_the_agent_acts_on_is_what_it_reports():
    network = NetworkSettings.from_env(
        {"AWS_VPC_ENI_MTU": "1500", "AWS_EXTERNAL_SERVICE_CIDRS": "10.1.2.3/16"}
    )
    assert network.host == HostSettings(mtu=1500, service_cidrs=("10.1.0.0/16",))
    document = network.document()
    assert document["AWS_VPC_ENI_MTU"] == 1500
    assert document["AWS_EXTERNAL_SERVICE_CIDRS"] == ["10.1.0.0/16"]
    assert document["AWS_VPC_K8S_CNI_CONNMARK"] == 0x80


def agent_process(folder, *words):
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    command = ("-m", "ipam_core", "agent", *words)
    return python.Process(*command, env=environ, stdout=subprocess.PIPE, text=True)


def test_settings_that_no_start_accepts_end_it_with_one_line(tmp_path):
    done = python.run(
        *("-m", "ipam_core", "agent", "--simulate", "t2.medium"),
        *(f"-e{name}" for name in ("ENABLE_IPv6=true", "ENABLE_IPv4=false", "MAX_ENI=2")),
        *("-eENABLE_PREFIX_DELEGATION=true", "--introspection", "127.0.0.1:0"),
        *("--metrics", "127.0.0.1:0"),
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        timeout=60,
    )
    assert done.returncode == 1
    assert "neither nitro nor bare metal" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_walk_of_the_page_is_as_the_page_shows_it(tmp_path, capsys, monkeypatch):
    """Paths, ports and times differ; which of 26 pods that ask at once waits, too."""
    shown = (ROOT / "docs" / "agent.md").read_text("utf-8")
    shown = shown.split("## The incident, live")[1].split("\n## ")[0]
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "ipam-core"
    words = ["--simulate", "m8g.4xlarge", "-e", "MINIMUM_IP_TARGET=25"]
    assert f"$ ipam-core agent {' '.join(words)}\n" in shown
    ports = ["--introspection", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    agent = agent_process(tmp_path, *words, *ports)
    try:
        lines = [agent.stdout.readline() for _ in range(6)]
        told = "".join(lines).replace(str(tmp_path), "/run/user/1000")
        place = re.search(r"http://(\S+)/v1/enis", told)[1]
        told = re.sub(r"(127\.0\.0\.1:)\d+(/v1)", r"\g<1>61679\2", told)
        told = re.sub(r"(127\.0\.0\.1:)\d+(/metrics)", r"\g<1>61678\2", told)
        assert indented(told) in shown

        assert run(["pods", "add", "26", "--wait", "0"]) == 1
        out = capsys.readouterr().out
        assert "25 pods got an address" in out
        assert "1 pod waits" in out
        assert "failed to assign an IP address to container" in out
        with urllib.request.urlopen(f"http://{place}/v1/enis", timeout=10) as page:
            (folder / "enis.json").write_bytes(page.read())
        start = (folder / "enis.json").read_text()[:43]
        assert indented(start) in shown
        monkeypatch.chdir(folder)
        assert run(["doctor", "."]) == 1
        found = capsys.readouterr().out
        *rule, _ = found.split("Evidence")[0].rpartition("\n")
        assert indented("".join(rule).rstrip() + "\n") in shown
    finally:
        agent.terminate()
        assert agent.wait(30) == 0
        agent.stdout.close()


def test_the_fix_of_the_page_is_as_the_page_shows_it(tmp_path, capsys, monkeypatch):
    """WARM_IP_TARGET=10 and a restart: the 26th pod is served, the others keep what they had."""
    shown = (ROOT / "docs" / "agent.md").read_text("utf-8")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ports = ["--introspection", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    words = ["--simulate", "m8g.4xlarge", "-e", "MINIMUM_IP_TARGET=25", *ports]
    words += ["--checkpoint", str(tmp_path / "ipam.db")]

    def started(*more):
        agent = agent_process(tmp_path, *words, *more)
        assert any(line.startswith("ready ") for line in agent.stdout)
        return agent

    def ended(agent):
        agent.terminate()
        assert agent.wait(30) == 0
        agent.stdout.close()

    agent = started()
    try:
        assert run(["pods", "add", "26", "--wait", "0"]) == 1
        held = addresses_of(capsys)
    finally:
        ended(agent)
    assert "-e WARM_IP_TARGET=10 --checkpoint ipam.db" in shown
    agent = started("-e", "WARM_IP_TARGET=10")
    try:
        assert run(["pods", "retry"]) == 0
        out = capsys.readouterr().out
        assert re.sub(r"pod-\d+", "pod-26", out.splitlines()[0]) in shown
        assert len(held) == 25
        assert held.items() <= addresses_of(capsys).items()
    finally:
        ended(agent)


def addresses_of(capsys):
    """Return the addresses of the pods that have one, by pod."""
    capsys.readouterr()
    run(["pods", "list", "--json"])
    pods = json.loads(capsys.readouterr().out)["pods"]
    return {pod["pod"]: pod["address"] for pod in pods if pod["address"]}


def indented(text):
    return "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())


def test_where_it_is_asked_is_one_json_object_for_machines(tmp_path):
    ports = ["--introspection", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]
    agent = agent_process(tmp_path, "--simulate", "m5.large", "--json", *ports)
    try:
        lines = []
        while (line := agent.stdout.readline()) != "}\n":
            lines.append(line)
        told = json.loads("".join([*lines, "}"]))
        assert told.keys() == {"socket", "tcp", "introspection", "metrics", "log"}
        assert Path(told["log"]).exists()
        with Client(told["tcp"]) as client:
            for _ in range(300):
                try:
                    assert client.add_network(add_request("a")).Success
                    break
                except Exception:
                    time.sleep(0.05)
            assert client.add_network(add_request("a")).Success
        with urllib.request.urlopen(told["metrics"], timeout=10) as page:
            assert b"awscni_add_ip_req_count" in page.read()
    finally:
        agent.send_signal(signal.SIGINT)
        assert agent.wait(30) == 0
        agent.stdout.close()
