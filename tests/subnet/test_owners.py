"""Whose an ENI is, as far as the input shows: nodes, branch ENIs, pods, and what is not sure."""

import re

import pytest

from ipam_core.errors import InputError
from ipam_core.subnet.drains import plan_drains
from ipam_core.subnet.inventory import Inventory
from ipam_core.subnet.owners import _BY_TYPE
from ipam_core.subnet.report import report_on
from support.subnet_account import account, branch, eni, instance, node, pod


def report_of(**what):
    inventory = Inventory()
    inventory.add(account(**what), "test")
    return report_on(inventory, "subnet-1")


CROWDED = [
    eni("sql", 40, 41, 42, 43, instance="i-sql"),
    eni("firewall", 60, 61, instance="i-firewall"),
    eni("node", 100, 101, 102, instance="i-node"),
]


def test_instances_without_a_nodes_tag_are_no_nodes_whatever_they_hold():
    """Prevents advice to end a database cluster and a firewall."""
    report = report_of(
        enis=CROWDED, instances=[instance("i-sql"), instance("i-firewall"), node("i-node")]
    )
    assert report.nodes == ["i-node"]
    assert {each.owner: each.enis for each in report.owners} == {
        "other instances": 2,
        "nodes' primary ENIs": 1,
    }
    plan = plan_drains(report, 8)
    assert (plan.nodes, plan.attainable) == (["i-node"], 1)


def test_without_instances_a_crowded_one_is_probably_a_node_and_nothing_is_proven():
    report = report_of(enis=CROWDED)
    assert report.probable_nodes == {"i-sql", "i-firewall", "i-node"}
    assert {each.owner for each in report.owners} == {"probably nodes' ENIs"}
    plan = plan_drains(report, 1)
    assert plan.method == "exact"
    assert not plan.proven
    assert "3 instances may be no node" in plan.doubts


@pytest.mark.parametrize(
    "proof",
    [
        {"Description": "aws-K8S-i-1"},
        {"Description": "aws-k8s-trunk-eni"},
        {"tags": {"node.k8s.amazonaws.com/instance_id": "i-1"}},
        {"tags": {"eks:cluster-name": "prod"}},
        {"tags": {"karpenter.sh/nodepool": "default"}},
    ],
)
def test_the_agents_own_enis_prove_a_node_even_where_its_instance_has_no_tag(proof):
    report = report_of(enis=[eni("one", 40, instance="i-1", **proof)], instances=[instance("i-1")])
    assert report.nodes == ["i-1"]
    assert not report.probable_nodes


def test_branch_enis_belong_to_the_node_of_their_trunk():
    """Prevents a drain that frees less than it does, and evicts fewer than it does."""
    report = report_of(
        enis=[
            eni("p", 20, 21, instance="i-1"),
            eni("t", 37, instance="i-1", device=1, InterfaceType="trunk"),
            branch("b1", 53, trunk="t"),
            branch("b2", 69, trunk="t"),
        ],
        instances=[node("i-1")],
    )
    assert report.pods_of == {"i-1": 3}
    plan = plan_drains(report, 8)
    assert (plan.nodes, plan.won, plan.pods, plan.pods_known) == (["i-1"], 4, 3, False)


def test_a_branch_eni_without_its_trunk_keeps_a_plan_from_being_proven():
    found = report_of(
        enis=[eni("p", 20, 21, instance="i-1"), branch("b", 53)],
        instances=[node("i-1")],
        pods=[pod(21)],
    )
    plan = plan_drains(found, 1)
    assert not plan.proven
    assert plan.doubts == ["1 branch ENI name no trunk of a node here"]


def test_pods_of_another_cluster_count_by_their_addresses():
    """Prevents "0 pods evicted" for a node that the list says nothing of."""
    report = report_of(
        enis=[
            eni("mine", 20, 21, 22, instance="i-mine"),
            eni("other", 40, 41, 42, 43, instance="i-other"),
        ],
        instances=[node("i-mine"), node("i-other")],
        pods=[pod(21), pod(20, hostNetwork=True)],
    )
    assert report.listed_nodes == {"i-mine"}
    assert report.pods_of == {"i-mine": 1, "i-other": 3}
    plan = plan_drains(report, 2)
    assert (plan.pods, plan.pods_known, plan.proven) == (4, False, False)
    assert plan.doubts == ["the pods of 1 node are not listed"]


@pytest.mark.parametrize("host", [None, 20])
def test_a_node_with_nothing_but_the_host_networks_pods_is_covered_and_empty(host):
    report = report_of(
        enis=[eni("mine", 20, 21, 22, instance="i-mine")],
        instances=[node("i-mine")],
        pods=[pod(20 if host is None else 200, host=host, hostNetwork=True)],
    )
    assert report.pods_of == {"i-mine": 0}
    plan = plan_drains(report, 1)
    assert (plan.pods, plan.pods_known, plan.proven) == (0, True, True)


def test_a_pod_in_a_prefix_covers_its_node():
    prefixes = [{"Ipv4Prefix": "10.0.0.64/28"}]
    report = report_of(
        enis=[eni("mine", 20, instance="i-mine", Ipv4Prefixes=prefixes)],
        instances=[node("i-mine")],
        pods=[pod(70), pod(71, owner="DaemonSet")],
    )
    assert report.pods_of == {"i-mine": 1}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"kind": "List", "items": [{"kind": "Node"}]}, "a list of Nodes, not of pods"),
        ({"kind": "DeploymentList", "items": [{"metadata": {}}]}, "a list of Deployments"),
        ({"items": [{"metadata": {}, "spec": {}}]}, "a list of things without a kind"),
        ({"kind": "List", "items": [pod(1), {"kind": "Service"}]}, "a list of Services"),
    ],
)
def test_a_list_of_anything_but_pods_is_refused(document, told):
    with pytest.raises(InputError, match=told):
        Inventory().add(document, "kubectl.json")


def test_the_apis_own_list_of_pods_names_no_kind_in_its_entries():
    entry = pod(21)
    del entry["kind"]
    inventory = Inventory()
    inventory.add({"kind": "PodList", "items": [entry]}, "pods.json")
    assert inventory.pods.evicted == ["10.0.0.21"]


def test_every_type_of_interface_that_ec2_knows_has_an_owner():
    """Both lists of EC2's own model: the values of `InterfaceType`, and of the filter by it."""
    model = pytest.importorskip("botocore.session").get_session().get_service_model("ec2")
    filters = model.shape_for("DescribeNetworkInterfacesRequest").members["Filters"].documentation
    listed = filters.partition("<code>interface-type</code>")[2].partition("</li>")[0]
    known = set(re.findall(r"<code>([\w-]+)</code>", listed))
    known |= set(model.shape_for("NetworkInterfaceType").enum)
    assert {"evs", "nat_gateway", "natGateway"} <= known
    of_instances = {"interface", "efa", "efa-only", "trunk"}
    assert known - of_instances - set(_BY_TYPE) == set()
    assert set(_BY_TYPE) <= known
