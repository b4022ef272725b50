"""What ENIs need on the host, as effects: a node with `host_network` alone asks for it.

Source: pkg/ipamd/ipamd.go (nodeInit, setupENI, configureIPRulesForPods,
tryFreeENI) of aws/amazon-vpc-cni-k8s v1.23.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.effects import SetUpEni, SetUpHost, SetUpPodRules, TearDownEni
from ipam_core.errors import IpamError
from ipam_core.node.tries import SEE_LINK, persist

if TYPE_CHECKING:
    from ipam_core.effects import AttachedEni, Step
    from ipam_core.node.state import NodeState


def set_up(node: NodeState, attached: tuple[AttachedEni, ...]) -> Step[None]:
    """Prepare the host before anything is taken over. Raises `HostNetworkError`."""
    if not node.host_network:
        return
    for eni in attached:
        if eni.is_primary:
            yield SetUpHost(eni)


def set_up_eni(node: NodeState, eni: AttachedEni, route_table: int, *, trunk: bool) -> Step[None]:
    """Set up the link of an ENI, the primary one left out.

    Raises the `HostNetworkError` of the fifth try. It comes before the ENI is in a store: no
    pod gets an address that nobody routes.
    """
    if not node.host_network or eni.is_primary:
        return
    yield from persist(node, SetUpEni(eni, route_table, trunk), SEE_LINK)
    node.links[eni.eni_id] = eni.primary_address


def set_up_pods(node: NodeState) -> Step[None]:
    """Send what the restored pods send through their ENIs; a failure is noted.

    Pods on the primary ENI need no rule: the main table is theirs.
    """
    if not node.host_network:
        return
    pods = []
    for store in node.served:
        tables = {eni.eni_id: eni.route_table for eni in store.enis() if not eni.primary}
        pods += [
            (held.address, tables[held.eni_id])
            for held in store.assignments()
            if held.eni_id in tables
        ]
    if pods:
        try:
            yield SetUpPodRules(tuple(pods))
        except IpamError as error:
            node.note_failure(error)


def tear_down_gone(node: NodeState) -> Step[None]:
    """Take away the rules of ENIs that no store has any more.

    A failure is noted, and tried again at the next reconcile.
    """
    for eni_id, primary_address in list(node.links.items()):
        if node.store_of(eni_id) is None:
            try:
                yield TearDownEni(eni_id, primary_address)
            except IpamError as error:
                node.note_failure(error)
            else:
                node.links.pop(eni_id, None)
