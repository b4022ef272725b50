"""Introspection and metrics: the pages, as they are fetched."""

import json
import re
import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.agent.web import MOST_CLIENTS, Page, WebServer
from ipam_core.cloud.region import Fault
from ipam_core.errors import InputError
from ipam_core.instances import limits
from support.agents import (
    add_request,
    client_of,
    del_request,
    enis_of,
    metrics_of,
    page_of,
    running,
    wait_until,
)

LABELS = {
    "ipamd_error_count": {"fn"},
    "ipamd_action_inprogress": {"fn"},
    "eni_max": set(),
    "ip_max": set(),
    "reconcile_count": {"fn"},
    "add_ip_req_count": set(),
    "del_ip_req_count": {"reason"},
    "aws_api_latency_ms": {"api", "error", "status"},
    "aws_api_error_count": {"api", "error"},
    "aws_utils_error_count": {"fn", "error"},
    "ec2api_req_count": {"fn"},
    "ec2api_error_count": {"fn"},
    "eni_allocated": set(),
    "total_ip_addresses": set(),
    "assigned_ip_addresses": set(),
    "force_removed_enis": set(),
    "force_removed_ips": set(),
    "total_ipv4_prefixes": set(),
    "assigned_ip_per_cidr": {"cidr"},
    "no_available_ip_addresses": set(),
    "assigned_ip_per_eni": {"eni"},
    "ipamd_startup_duration_seconds": {"success", "with_api_server", "failure_reason"},
    "ipamd_node_initialization_duration_seconds": {"success"},
    "connmark_reconcile_total": {"result"},
    "build_info": {"version", "goversion"},
}
"""Source: utils/prometheusmetrics and pkg/version of aws/amazon-vpc-cni-k8s v1.23.1. Those of
security groups for pods and of the connection mark's backend are shown once something feeds
them: this agent does neither."""
HELPERS = {
    "awscni_eni_max",
    "awscni_ip_max",
    "awscni_eni_allocated",
    "awscni_total_ip_addresses",
    "awscni_assigned_ip_addresses",
    "awscni_total_ipv4_prefixes",
}
"""What cni-metrics-helper asks for (GetSupportedPrometheusCNIMetricsMapping)."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Give an agent in whose life everything that is counted happened, and its host."""
    host = SimulatedHost(limits("m5.large"), seed=1)
    region = host.cloud.region
    faults = [
        Fault("AssignPrivateIpAddresses", "InternalError", times=1),
        Fault("AttachNetworkInterface", "InternalError", times=1),
        Fault("DeleteNetworkInterface", "InternalError", times=1),
    ]
    folder = tmp_path_factory.mktemp("agent")
    variables = {"WARM_IP_TARGET": "5"}
    with (
        running(folder, host=host, variables=variables) as agent,
        client_of(agent) as client,
    ):
        node = agent.loop.node
        region.faults += faults
        for number in range(12):
            assert wait_until(lambda: n_free(node) > 0)
            assert client.add_network(add_request(f"a{number}")).Success
        assert wait_until(lambda: node.store.stats().total >= 17)
        client.del_network(del_request("a0"))
        # An ENI that somebody takes away, pods and all.
        second = next(eni for eni in host.cloud.attached() if eni.device_number > 0)
        region.detach(second)
        assert wait_until(lambda: second.eni_id not in node.store)
        number = 0
        while client.add_network(add_request(f"b{number}")).Success:
            number += 1
        yield agent, host


def n_free(node):
    stats = node.store.stats(node.clock_ns())
    return stats.available - stats.cooling


def families_of(agent):
    return {f.name: f for f in text_string_to_metric_families(metrics_of(agent))}


def values_of(agent):
    return {
        (name_of(sample), *sample.labels.values()): sample.value
        for family in families_of(agent).values()
        for sample in family.samples
    }


def name_of(sample):
    """Return a sample's name in the text: the parser has put `_total` to that of a counter."""
    name = sample.name.removeprefix("awscni_")
    return name if name == "connmark_reconcile_total" else name.removesuffix("_total")


def test_every_metric_has_upstreams_name_labels_and_type(lived):
    agent, _ = lived
    found = {}
    for family in families_of(agent).values():
        for sample in family.samples:
            name = name_of(sample)
            if family.type in ("summary", "histogram"):
                name = name.rpartition("_")[0]
            found.setdefault(name, set()).update(sample.labels.keys() - {"le"})
    assert found == LABELS


def test_the_names_of_counters_have_no_total(lived):
    text = metrics_of(lived[0])
    assert re.search(r"# TYPE awscni_add_ip_req_count counter\nawscni_add_ip_req_count \d", text)
    assert set(re.findall(r"\w+_total\b", text)) == {"awscni_connmark_reconcile_total"}
    assert "_created" not in text


def test_what_cni_metrics_helper_asks_for_is_there(lived):
    assert families_of(lived[0]).keys() >= HELPERS


def test_gauges_are_what_the_introspection_page_shows(lived):
    """The pool goes on: both are fetched until nothing happened in between."""
    agent, host = lived
    assert wait_until(lambda: gauges_of(values_of(agent)) == gauges_in(enis_of(agent), host))


def gauges_of(values):
    per_eni = {key[1]: value for key, value in values.items() if key[0] == "assigned_ip_per_eni"}
    per_cidr = {key[1]: value for key, value in values.items() if key[0] == "assigned_ip_per_cidr"}
    names = ("total_ip_addresses", "assigned_ip_addresses", "eni_allocated", "eni_max", "ip_max")
    return {**{name: values[name,] for name in names}, **per_eni, **per_cidr}


def gauges_in(enis, host):
    def n_assigned(cidr):
        return sum(
            used["UnassignedTime"].startswith("0001") for used in cidr["IPAddresses"].values()
        )

    per_cidr = {
        eni_id: {name: n_assigned(cidr) for name, cidr in eni["AvailableIPv4Cidrs"].items()}
        for eni_id, eni in enis["ENIs"].items()
    }
    return {
        "total_ip_addresses": enis["TotalIPs"],
        "assigned_ip_addresses": enis["AssignedIPs"],
        "eni_allocated": len(host.cloud.attached()),
        "eni_max": 3,
        "ip_max": 27,
        **{eni_id: sum(counts.values()) for eni_id, counts in per_cidr.items()},
        **{name: n for counts in per_cidr.values() for name, n in counts.items() if n},
    }


def test_counters_count_what_happened(lived):
    values = values_of(lived[0])
    assert values["add_ip_req_count",] >= 13
    assert values["del_ip_req_count", "PodDeleted"] == 1
    assert values["no_available_ip_addresses",] >= 1
    assert values["ec2api_error_count", "AssignPrivateIpAddresses"] == 1
    assert values["aws_api_error_count", "AssignPrivateIpAddresses", "InternalError"] == 1
    assert values["ipamd_error_count", "increaseIPPoolAllocIPAddressesFailed"] == 1
    assert values["ipamd_error_count", "increaseIPPoolAllocENI"] == 1
    assert values["aws_utils_error_count", "FreeENIDeleteErr", "InternalError"] == 1
    assert values["ec2api_req_count", "AssignPrivateIpAddresses"] >= 3
    assert values["aws_api_latency_ms_count", "GetMetadata", "false", "200"] >= 1
    assert values["force_removed_enis",] == 1
    assert values["force_removed_ips",] >= 1
    assert values["reconcile_count", "eniReconcileDel"] == 1
    assert values["ipamd_startup_duration_seconds_count", "true", "false", ""] == 1
    assert values["ipamd_node_initialization_duration_seconds_count", "true"] == 1
    assert values["ipamd_action_inprogress", "nodeInit"] == 0


def test_a_subnet_label_comes_by_a_switch(tmp_path):
    with running(tmp_path, by_subnet=True) as agent:
        values = values_of(agent)
        assert values["total_ip_addresses", "primary"] == enis_of(agent)["TotalIPs"]
        assert values["eni_allocated", "primary"] == len(enis_of(agent)["ENIs"])


def test_reasons_that_nobody_knows_fill_no_memory(tmp_path):
    with running(tmp_path) as agent, client_of(agent) as client:
        for number in range(20):
            with pytest.raises(Exception, match="unknown pod"):
                client.del_network(del_request("x", Reason=f"reason {number}"))
        assert values_of(agent)["del_ip_req_count", "other"] == 20


def test_prefixes_are_counted_with_their_addresses(tmp_path):
    variables = {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "2"}
    with running(tmp_path, variables=variables) as agent, client_of(agent) as client:
        client.add_network(add_request("a"))
        assert wait_until(lambda: agent.loop.node.store.stats().prefixes == 3)
        values, enis = values_of(agent), enis_of(agent)
        assert values["total_ipv4_prefixes",] * 16 == values["total_ip_addresses",]
        assert values["total_ip_addresses",] == enis["TotalIPs"]
        assert values["ip_max",] == 3 * 9 * 16
        (cidr,) = [key[1] for key in values if key[0] == "assigned_ip_per_cidr"]
        assert cidr.endswith("/28")


# --- introspection ---------------------------------------------------------------------------


def test_the_pool_is_shown_as_upstream_shows_it(lived):
    enis = enis_of(lived[0])
    assert list(enis) == ["TotalIPs", "AssignedIPs", "ENIs"]
    eni = enis["ENIs"]["eni-00000000000000001"]
    assert (eni["IsPrimary"], eni["DeviceNumber"], eni["RouteTableID"]) == (True, 0, 254)
    used = [a for c in eni["AvailableIPv4Cidrs"].values() for a in c["IPAddresses"].values()]
    assert used
    assert all(not (a["IPAMKey"]["containerID"] or a["IPAMKey"]["ifName"]) for a in used)
    assert {a["IPAMMetadata"].get("k8sPodNamespace") for a in used} <= {"shop", None}


def test_settings_are_shown_as_upstream_shows_them(tmp_path):
    variables = {
        "WARM_IP_TARGET": "3",
        "AWS_VPC_K8S_CNI_EXTERNALSNAT": "true",
        "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "10.1.2.3/8, nonsense",
        "AWS_VPC_K8S_CNI_CONNMARK": "0x40",
        "AWS_VPC_K8S_CNI_RANDOMIZESNAT": "hashrandom",
        "AWS_VPC_ENI_MTU": "1500",
        "AWS_VPC_CNI_NODE_PORT_SUPPORT": "f",
        "AWS_VPC_K8S_CNI_VETHPREFIX": "vpc",
    }
    with running(tmp_path, variables=variables) as agent:
        assert json.loads(page_of(agent, "/v1/ipamd-env-settings")) == {
            "AWS_MANAGE_ENIS_NON_SCHEDULABLE": False,
            "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": False,
            "ENABLE_SUBNET_DISCOVERY": True,
            "WARM_ENI_TARGET": 1,
            "WARM_IP_TARGET": 3,
        }
        assert json.loads(page_of(agent, "/v1/networkutils-env-settings")) == {
            "AWS_EXTERNAL_SERVICE_CIDRS": None,
            "AWS_VPC_CNI_NODE_PORT_SUPPORT": False,
            "AWS_VPC_ENI_MTU": 1500,
            "AWS_VPC_K8S_CNI_CONNMARK": 64,
            "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": ["10.0.0.0/8"],
            "AWS_VPC_K8S_CNI_EXTERNALSNAT": True,
            "AWS_VPC_K8S_CNI_RANDOMIZESNAT": 1,
            "AWS_VPC_K8S_CNI_VETHPREFIX": "vpc",
        }


def test_any_other_path_names_those_there_are(lived):
    for path in ("/", "/v1/pods", "/v1/enis/", "/%00"):
        assert json.loads(page_of(lived[0], path)) == {
            "AvailableCommands": [
                "/v1/enis",
                "/v1/eni-configs",
                "/v1/networkutils-env-settings",
                "/v1/ipamd-env-settings",
            ]
        }


def test_without_kubernetes_there_is_no_eni_config(lived):
    with pytest.raises(urllib.error.HTTPError) as missing:
        page_of(lived[0], "/v1/eni-configs")
    with missing.value:
        assert missing.value.code == 404


class Kubernetes:
    def __init__(self, name):
        self.name = name

    def max_pods(self):
        return 11

    def unschedulable(self):
        return False

    def eni_config(self):
        raise LookupError("none")

    def eni_config_name(self):
        if self.name is None:
            raise LookupError("none")
        return self.name


def test_with_kubernetes_its_eni_config_is_named_and_its_max_pods_are_taken(tmp_path):
    with running(tmp_path, cluster=Kubernetes("zone-a")) as agent:
        assert json.loads(page_of(agent, "/v1/eni-configs")) == "zone-a"
        assert agent.loop.node.max_pods == 11
    with (
        running(tmp_path, cluster=Kubernetes(None)) as agent,
        pytest.raises(urllib.error.HTTPError) as missing,
    ):
        page_of(agent, "/v1/eni-configs")
    with missing.value:
        assert missing.value.code == 404


# --- HTTP ---------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path):
    server = WebServer("127.0.0.1:0", lambda path: Page(200, "text/plain", path), name="test")
    yield server
    server.close()


def ask(address, request):
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 10) as to:
        to.sendall(request)
        reply = b""
        while more := to.recv(65536):
            reply += more
        return reply


def test_a_query_is_not_part_of_the_path(web):
    with urllib.request.urlopen(f"{web.url('/x')}?pretty=1", timeout=10) as page:
        assert page.read() == b"/x"


@pytest.mark.parametrize(
    "request_",
    [b"POST /v1/enis HTTP/1.0\r\n\r\n", b"nonsense\r\n\r\n", b"GET " + b"x" * 70000 + b"\r\n\r\n"],
)
def test_what_is_no_get_is_refused(web, request_):
    reply = ask(web.address, request_)
    assert b"200 OK" not in reply
    assert ask(web.address, b"GET /y HTTP/1.0\r\n\r\n").endswith(b"/y")


def test_clients_that_say_nothing_do_not_keep_others_out(web):
    address = ("127.0.0.1", web.port)
    silent = [socket.create_connection(address, 10) for _ in range(MOST_CLIENTS - 1)]
    try:
        assert ask(web.address, b"GET /y HTTP/1.0\r\n\r\n").endswith(b"/y")
    finally:
        for each in silent:
            each.close()


def test_one_client_too_many_is_left_at_once_and_later_ones_are_answered(web):
    address = ("127.0.0.1", web.port)
    silent = [socket.create_connection(address, 10) for _ in range(MOST_CLIENTS)]
    try:
        assert wait_until(lambda: is_left(address))
    finally:
        for each in silent:
            each.close()
    assert wait_until(lambda: not is_left(address))


def is_left(address):
    """Return whether a client is left without an answer."""
    with socket.create_connection(address, 10) as more:
        try:
            more.sendall(b"GET /y HTTP/1.0\r\n\r\n")
            return more.recv(100) == b""
        except OSError:
            return True


def test_pages_are_on_a_unix_socket_where_that_is_asked(tmp_path):
    path = tmp_path / "introspection.sock"
    server = WebServer(f"unix:{path}", lambda path: Page(200, "text/plain", path), name="test")
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(str(path))
        to.sendall(b"GET /v1/enis HTTP/1.0\r\n\r\n")
        assert to.makefile("rb").read().endswith(b"/v1/enis")
    server.close()
    assert not path.exists()


def test_an_address_that_is_taken_is_refused(web, tmp_path):
    with pytest.raises(InputError, match=f"metrics: {web.address}"):
        WebServer(web.address, lambda path: Page(200, "", path), name="metrics")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="no socket"):
        WebServer(f"unix:{tmp_path / 'file'}", lambda path: Page(200, "", path), name="x")
    assert (tmp_path / "file").read_text() == "precious"
