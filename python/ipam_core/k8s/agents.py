"""What each aws-node pod reports of its pool, asked through the API server's pod proxy."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.inputs.case import Case
from ipam_core.diagnosis.inputs.metrics import read_metrics
from ipam_core.errors import CloudError, DeniedError
from ipam_core.k8s.objects import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.k8s.client import Client

METRICS_PORT, INTROSPECTION_PORT = 61678, 61679
AT_ONCE = 32
"""So many agents are asked at the same time."""
MOST_FAILURES = 40
"""After so many failures in a row no further agent is asked."""
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPool:
    """A pool as its agent reports it. None: the agent does not say.

    `cooling` addresses were released less than the cooldown ago; only /v1/enis shows them.
    """

    enis: int | None
    total: int
    assigned: int
    version: str = ""

    @property
    def free(self) -> int:
        """Addresses that no pod has, cooling ones included."""
        return max(self.total - self.assigned, 0)


class RunningAgent(NamedTuple):
    """A pod of aws-node that runs, and its own variables: a DaemonSet's may be newer."""

    pod: str
    variables: Mapping[str, str]


@dataclass(slots=True)
class Told:
    """The pools by node, and one line for each reason why others are missing."""

    pools: dict[str, AgentPool] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def introspection_port(variables: Mapping[str, str]) -> int | None:
    """Return the port of /v1/enis as the API server reaches it, None where it does not.

    The agent listens on the loopback of its node, unless INTROSPECTION_BIND_ADDRESS says
    otherwise. Source: pkg/ipamd/introspect.go of aws/amazon-vpc-cni-k8s.
    """
    address = variables.get("INTROSPECTION_BIND_ADDRESS", "")
    host, _, port = address.rpartition(":")
    off = variables.get("DISABLE_INTROSPECTION", "").lower() in ("1", "t", "true")
    if off or not address or host.startswith(_LOOPBACK) or address.startswith("unix:"):
        return None
    return int(port) if port.isascii() and port.isdigit() else None


async def ask_agents(client: Client, agents: Mapping[str, RunningAgent]) -> Told:
    """Ask the agent of each node.

    /v1/enis is asked where the agent shows it, the metrics else.
    Where pods/proxy is forbidden, or `MOST_FAILURES` in a row fail, the rest is not asked.
    """
    told, failures = Told(), Counter[str]()
    gate, in_a_row, denied = asyncio.Semaphore(AT_ONCE), 0, ""

    async def ask(node: str, agent: RunningAgent) -> None:
        nonlocal in_a_row, denied
        async with gate:
            if denied or in_a_row >= MOST_FAILURES:
                failures["not asked"] += 1
                return
            try:
                port = introspection_port(agent.variables)
                told.pools[node] = await _ask(client, agent.pod, port)
            except CloudError as error:
                in_a_row += 1
                if isinstance(error, DeniedError):
                    denied = denied or str(error)
                else:
                    failures[_reason(error, agent.pod)] += 1
            else:
                in_a_row = 0

    await asyncio.gather(*(ask(node, agent) for node, agent in agents.items()))
    n_unasked = failures.pop("not asked", 0)
    if denied:
        told.unread.append(f"no agent is asked: {denied}")
    for why, count in failures.most_common():
        told.unread.append(f"{_agents(count)} did not answer: {why}")
    if n_unasked and not denied:
        told.unread.append(
            f"{_agents(n_unasked)} not asked, after {MOST_FAILURES} failures in a row"
        )
    return told


async def _ask(client: Client, pod: str, port: int | None) -> AgentPool:
    if port is not None:
        shown = await client.through_pod(NAMESPACE, pod, port, "v1/enis")
        return pool_of_enis(shown, pod)
    return pool_of_metrics(await client.through_pod(NAMESPACE, pod, METRICS_PORT, "metrics"), pod)


def pool_of_enis(text: bytes, pod: str) -> AgentPool:
    """Return the pool that /v1/enis shows, all network cards together. Raises `CloudError`."""
    try:
        cards: Any = json.loads(text)
        cards = [cards] if "ENIs" in cards else list(cards.values())
        return AgentPool(
            enis=sum(len(card["ENIs"] or ()) for card in cards),
            total=sum(int(card["TotalIPs"]) for card in cards),
            assigned=sum(int(card["AssignedIPs"]) for card in cards),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise CloudError(f"get pods/{pod}/proxy/v1/enis", "InvalidReply", "no /v1/enis") from None


def pool_of_metrics(text: bytes, pod: str) -> AgentPool:
    """Return the pool that the agent's metrics show. Raises `CloudError`: they are none."""
    case = Case()
    read_metrics(text.decode(errors="replace"), pod, case)
    counts = {name: each.value for name, each in case.metrics.items()}
    if "total_ip_addresses" not in counts or "assigned_ip_addresses" not in counts:
        raise CloudError(
            f"get pods/{pod}/proxy/metrics", "InvalidReply", "no awscni_total_ip_addresses in it"
        )
    enis = counts.get("eni_allocated")
    try:
        return AgentPool(
            enis=None if enis is None else int(float(enis)),
            total=int(float(counts["total_ip_addresses"])),
            assigned=int(float(counts["assigned_ip_addresses"])),
            version=counts.get("version", ""),
        )
    except (ValueError, OverflowError):
        raise CloudError(
            f"get pods/{pod}/proxy/metrics", "InvalidReply", "a count that is no number"
        ) from None


def _reason(error: CloudError, pod: str) -> str:
    """Return why an agent did not answer, in words that are the same for others."""
    said = f"{error.code}: {error.message}" if error.message else error.code
    return said.replace(pod, "aws-node-...")


def _agents(count: int) -> str:
    return f"{count} agent{'s' * (count != 1)}"
