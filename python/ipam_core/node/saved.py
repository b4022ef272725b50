"""A node's state as plain values, and back: `Node.to_dict` and `Node.from_dict`.

Times are nanoseconds of the node's clock, as everywhere in a node.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core._snapshot import sandbox_named, sandbox_names, seal, unseal
from ipam_core._store import DataStore
from ipam_core.errors import InputError, SnapshotError
from ipam_core.instances import InstanceLimits
from ipam_core.node.state import Emptied, NodeState
from ipam_core.node.unattached import Holder
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.quoting import quoted
from ipam_core.schemas import check_schema
from ipam_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ipam_core.node.timers import Timers
    from ipam_core.policy import Policy

SCHEMA = "node/1"
_NODE = TypeVar("_NODE", bound=NodeState)
_SIMPLE = ("ready", "terminating", "has_excluded")
_TEXTS = ("links", "unfinished")
_SETS = ("unmanaged", "security_groups")
_TIMES = ("changed_ns", "shrunk_ns", "full_ns", "no_prefix_ns")


def plain_state(node: NodeState) -> dict[str, Any]:
    """Return the state of a node between two steps as plain values, of schema `node/1`."""
    settings = {field.name: getattr(node.settings, field.name) for field in fields(Settings)}
    del settings["warnings"]
    return {
        "schema": SCHEMA,
        "limits": asdict(node.limits)
        | {"enis_per_network_card": [*node.limits.enis_per_network_card]},
        "settings": settings,
        "policy": node.policy.name,
        "max_pods": node.max_pods,
        "nitro": node.nitro,
        "seed": node.seed,
        "host_network": node.host_network,
        "follow_groups": node.follow_groups,
        "cards": [*node.cards],
        "stores": [unseal(store.snapshot()) for store in node.stores],
        "waiting": [
            {"refused_ns": refused_ns}
            | ({"pod": who} if isinstance(who, str) else {"sandbox": sandbox_names(who)})
            for who, refused_ns in node.waiting.refused()
        ],
        "unattached": [
            {
                "address": address,
                "sandbox": sandbox_names(holder.sandbox),
                "pod": holder.pod,
                "assigned_ns": holder.assigned_ns,
            }
            for address, holder in node.unattached.items()
        ],
        "to_forget": [[address, sandbox_names(sandbox)] for address, sandbox in node.to_forget],
        "emptied": [each._asdict() for each in node.emptied],
        "n_unmanaged": [*node.n_unmanaged],
        "n_dropped_prefixes": [*node.n_dropped_prefixes],
        "memories": [[*map(list, memory)] for memory in node.memories],
        "timers": {
            **{name: getattr(node.timers, name) for name in _TIMES},
            "young_ns": [*node.timers.young_ns],
            "given_back_ns": dict(node.timers.given_back_ns),
            "peaks": [[*map(list, peaks)] for peaks in node.timers.peaks],
        },
        "primary_addresses": dict(node.replies.primary_addresses),
        "random": node.chance(),
        **{name: getattr(node, name) for name in _SIMPLE},
        **{name: dict(getattr(node, name)) for name in _TEXTS},
        **{name: sorted(getattr(node, name)) for name in _SETS},
    }


def node_of(
    kind: type[_NODE],
    given: Mapping[str, Any],
    policy: Policy | None,
    clock_ns: Callable[[], int],
) -> _NODE:
    """Return a node with the state that `plain_state` gave. Raises `InputError`."""
    check_schema(given, SCHEMA)
    try:
        limits = dict(given["limits"])
        cards = tuple(limits.pop("enis_per_network_card"))
        node = kind(
            InstanceLimits(**limits, enis_per_network_card=cards),
            Settings(**given["settings"]),
            policy=_policy_of(given["policy"], policy),
            max_pods=_integer(given["max_pods"]),
            nitro=bool(given["nitro"]),
            clock_ns=clock_ns,
            seed=_integer(given["seed"]),
            host_network=bool(given["host_network"]),
            follow_groups=bool(given["follow_groups"]),
        )
        _load(node, given)
    except InputError:
        raise
    except (
        AttributeError,
        LookupError,
        OverflowError,
        SnapshotError,
        TypeError,
        ValueError,
    ) as error:
        raise InputError(f"no state of a node: {error!r}") from error
    return node


def _load(node: NodeState, given: Mapping[str, Any]) -> None:
    n_cards = len(node.stores)
    given_time = node.clock_ns is not time.monotonic_ns
    node.stores = [
        DataStore.restore(seal(store | {"given_time": given_time})) for store in given["stores"]
    ]
    managed = [*map(_integer, given["cards"])]
    if not {*managed} <= {*range(n_cards)} or len(node.stores) != n_cards:
        raise ValueError(f"cards {managed}, {len(node.stores)} stores: there are {n_cards} cards")
    node.manage_cards(managed)
    for each in given["waiting"]:
        who = each["pod"] if "pod" in each else sandbox_named(each["sandbox"])
        node.waiting.note_refused_at(who, _integer(each["refused_ns"]))
    for each in given["unattached"]:
        holder = Holder(
            sandbox=sandbox_named(each["sandbox"]),
            pod=each["pod"],
            assigned_ns=_integer(each["assigned_ns"]),
        )
        node.unattached.keep(each["address"], holder)
    node.to_forget = [(address, sandbox_named(names)) for address, names in given["to_forget"]]
    node.emptied = deque(Emptied(**each) for each in given["emptied"])
    node.n_unmanaged = [*map(_integer, given["n_unmanaged"])]
    node.n_dropped_prefixes = [*map(_integer, given["n_dropped_prefixes"])]
    n_memories, memories = len(node.memories), given["memories"]
    node.memories = [_pairs(memory) for memory in memories]
    _load_timers(node.timers, given["timers"])
    node.replies.primary_addresses.update(given["primary_addresses"])
    if given["random"] is not None:
        node.take_chance(given["random"])
    for name in _SIMPLE:
        setattr(node, name, bool(given[name]))
    for name in _TEXTS:
        setattr(node, name, {_text(key): _text(text) for key, text in given[name].items()})
    for name in _SETS:
        setattr(node, name, set(map(_text, given[name])))
    counts = (node.n_unmanaged, node.n_dropped_prefixes, node.timers.peaks)
    if any(len(each) != n_cards for each in counts) or len(memories) != n_memories:
        raise ValueError(f"not of {n_cards} network cards")


def _load_timers(timers: Timers, given: Mapping[str, Any]) -> None:
    for name in _TIMES:
        setattr(timers, name, None if given[name] is None else _integer(given[name]))
    timers.young_ns = deque(map(_integer, given["young_ns"]))
    timers.given_back_ns = {cidr: _integer(at) for cidr, at in given["given_back_ns"].items()}
    timers.peaks = [_pairs(peaks) for peaks in given["peaks"]]


def _policy_of(name: str, own: Policy | None) -> Policy:
    policies = {policy.name: policy for policy in (VPC_CNI, IPAM_CORE, own) if policy is not None}
    if name not in policies:
        raise InputError(
            f"policy {quoted(name)}: give it as `policy`; known: {', '.join(policies)}"
        )
    return policies[name]


def _pairs(given: Iterable[Iterable[Any]]) -> deque[tuple[int, int]]:
    return deque((_integer(one), _integer(other)) for one, other in given)


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"an integer is needed, not {quoted(value)}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is needed, not {quoted(value)}")
    return value
