"""`ipam-core capacity`: whether groups of nodes fit into subnets, and what remains free."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._given import TypesFileOption
from ipam_core.cli._options import JsonOption, SeedOption
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipam_core._subnet import Subnet
    from ipam_core.subnet.groups import CapacityState, NodeGroup

ZONES_TIMES = 2
"""EKS adds up to twice as many nodes as the group has zones before it drains the first."""
MOST_NODES = 50_000
"""The same limit as in a fleet file."""
_KEYS = ("name", "pods", "peak", "max-pods", "surge", "subnets")


def capacity(
    group: Annotated[
        list[str],
        typer.Option(
            metavar="COUNTxTYPE[,KEY=VALUE]...",
            help=f"A group of nodes; repeat it for more. Keys: {', '.join(_KEYS)} (names with + "
            "between them), and variables of the agent.",
        ),
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="The subnets as they are now: see subnet report."),
    ] = None,
    cidr: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[ID=]CIDR", help="An empty subnet, instead of files; repeat it for more."
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", metavar="NAME=VALUE", help="A variable of every agent."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="The agent's settings, in any form that explain reads.")
    ] = None,
    instance_types: TypesFileOption = None,
    max_pods: Annotated[
        int | None,
        typer.Option(min=1, help="The kubelet's maxPods; default: the usual one of type and mode."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> int:
    """Show what groups of nodes hold in subnets: at rest, at peak, in a rolling upgrade.

    At rest each node runs the group's `pods` (none unless given), at the peak `peak` (all that
    maxPods allows). An upgrade adds `surge` full nodes before old ones go: twice the group's
    zones unless given, as EKS does. Exits 1 if a node or a pod finds no room.

    Example: ipam-core capacity --cidr 10.0.0.0/22 --group 30xm5.large,pods=12

    ipam-core capacity subnets.json interfaces.json --group 8xm5.4xlarge,max-pods=110
    """
    from ipam_core.cli._given import read_given
    from ipam_core.cli._out import print_json
    from ipam_core.subnet.groups import plan_capacity

    variables = read_given(env or (), settings=settings).variables
    subnets, zones = _subnets(files or [], cidr or [])
    groups = [
        _group(text, n, variables, max_pods, list(subnets), zones, instance_types)
        for n, text in enumerate(group, 1)
    ]
    names = [each.name for each in groups]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--group: two are named {name!r}: give one a name=NAME")
    used = {name: subnets[name] for name in subnets if any(name in g.subnets for g in groups)}
    states = plan_capacity(groups, used, seed=seed)
    if as_json:
        print_json(
            {
                "groups": [_plain(each) for each in groups],
                "states": [state.to_json() for state in states],
            }
        )
    else:
        _print_groups(groups, states)
    return 0 if all(state.fits for state in states) and not any(map(_beyond, groups)) else 1


def _beyond(group: NodeGroup) -> int:
    """Return how many pods maxPods admits to a node that never get an address."""
    return 0 if group.draws.init_error else max(group.draws.most_pods - group.draws.served, 0)


def _subnets(files: list[Path], cidrs: list[str]) -> tuple[dict[str, Subnet], dict[str, str]]:
    """Return the subnets, and the zone of each, by id."""
    from ipam_core._subnet import Subnet

    if bool(files) == bool(cidrs):
        raise InputError("give either files of subnets or --cidr")
    if files:
        from ipam_core.subnet.inventory import read_inventory
        from ipam_core.subnet.report import report_on

        inventory = read_inventory(files)
        reports = [report_on(inventory, name) for name in inventory.choose(())]
        for each in reports:
            if each.partial:
                why = "; ".join([*each.missing, each.agreement])
                raise InputError(f"subnet {each.subnet_id}: what is in use is not all known: {why}")
        zones = {
            each.subnet_id: str(
                inventory.subnets[each.subnet_id].get("AvailabilityZone", each.subnet_id)
            )
            for each in reports
        }
        return {each.subnet_id: each.subnet for each in reports}, zones
    found: dict[str, Subnet] = {}
    networks: dict[str, IPv4Network] = {}
    for text in cidrs:
        name, _, block = text.rpartition("=")
        name = name or block
        if name in found:
            raise InputError(f"--cidr {text!r}: {name} is there twice")
        try:
            subnet = Subnet(block)
        except ValueError as error:
            raise InputError(f"--cidr: {error}") from None
        network = IPv4Network(block)
        for other, there in networks.items():
            if network.overlaps(there):
                raise InputError(f"--cidr {text!r}: it overlaps --cidr {other!r}")
        found[name], networks[name] = subnet, network
    return found, {name: name for name in found}


def _group(
    text: str,
    number: int,
    variables: Mapping[str, str],
    max_pods: int | None,
    subnets: list[str],
    zones: Mapping[str, str],
    types: Path | None,
) -> NodeGroup:
    """Return the group that an option describes. Raises `InputError`."""
    from ipam_core import instances
    from ipam_core.cli._given import chosen_types, read_given
    from ipam_core.settings import Settings
    from ipam_core.subnet.draw import node_draws
    from ipam_core.subnet.groups import NodeGroup

    where = f"--group {text!r}"
    what, *parts = text.split(",")
    count, x, instance_type = what.partition("x")
    if not (x and count.isascii() and count.isdigit() and instance_type):
        raise InputError(f"{where}: COUNTxTYPE first, as 30xm5.large")
    n_nodes = int(count) if len(count) < 8 else MOST_NODES + 1
    if not 1 <= n_nodes <= MOST_NODES:
        raise InputError(f"{where}: 1 to {MOST_NODES:,} nodes")
    keys: dict[str, str] = {}
    env = []
    for part in parts:
        name, equals, value = part.partition("=")
        if name in _KEYS and equals:
            keys[name] = value
        elif name.isupper() and equals:
            env.append(part)
        else:
            raise InputError(f"{where}: {part!r} is none of {', '.join(_KEYS)} or NAME=VALUE")
    # The settings of all groups, then this group's own.
    try:
        given = read_given([*(f"{name}={value}" for name, value in variables.items()), *env])
    except InputError as error:
        raise InputError(f"{where}: {str(error).removeprefix('-e: ')}") from None
    settings = Settings.from_env(given.variables)
    if settings.warnings:
        raise InputError(f"{where}: {settings.warnings[0]}")
    if settings.enable_ipv6:
        raise InputError(f"{where}: with IPv6 pods take no address of an IPv4 subnet")
    kinds = chosen_types([instance_type], file=types)
    if len(kinds) != 1:
        raise InputError(f"{where}: one instance type is needed, not {len(kinds)}")
    limits = kinds[0]
    usual = instances.max_pods(limits, settings)
    most, rule = usual.value, usual.rule
    if "max-pods" in keys or max_pods is not None:
        most, rule = _integer(keys, "max-pods", where, max_pods or 0), "given"
    if most < 1:
        raise InputError(f"{where}: max-pods is at least 1")
    prefix_mode = settings.enable_prefix_delegation and limits.nitro
    draws = node_draws(limits, settings, prefix_mode=prefix_mode, max_pods=most)
    chosen = tuple(keys["subnets"].split("+")) if "subnets" in keys else tuple(subnets)
    for name in chosen:
        if name not in subnets:
            raise InputError(f"{where}: no subnet {name!r}; there are {', '.join(subnets)}")
    pods = _integer(keys, "pods", where, 0)
    most_pods = min(draws.most_pods, draws.served) if not draws.init_error else draws.most_pods
    return NodeGroup(
        name=keys.get("name", f"{instance_type}" if number == 1 else f"{instance_type}-{number}"),
        instance_type=instance_type,
        count=n_nodes,
        subnets=chosen,
        draws=draws,
        max_pods_rule=rule,
        pods=pods,
        peak_pods=_integer(keys, "peak", where, max(most_pods, pods)),
        surge=_integer(keys, "surge", where, ZONES_TIMES * len({zones[name] for name in chosen})),
    )


def _integer(keys: Mapping[str, str], name: str, where: str, default: int) -> int:
    text = keys.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise InputError(f"{where}: {name} is an integer, not {text!r}")
    return int(text)


def _plain(group: NodeGroup) -> dict[str, Any]:
    rest, peak = group.draws.at(group.pods), group.draws.at(group.peak_pods)
    return {
        "name": group.name,
        "instance_type": group.instance_type,
        "count": group.count,
        "subnets": list(group.subnets),
        "max_pods": group.draws.max_pods,
        "max_pods_rule": group.max_pods_rule,
        "pods": group.pods,
        "peak_pods": group.peak_pods,
        "pods_beyond_addresses": _beyond(group),
        "surge": group.surge,
        "node_at_rest": {"enis": rest.enis, "addresses": rest.addresses, "prefixes": rest.prefixes},
        "node_at_peak": {"enis": peak.enis, "addresses": peak.addresses, "prefixes": peak.prefixes},
    }


def _print_groups(groups: Sequence[NodeGroup], states: Sequence[CapacityState]) -> None:
    from ipam_core.cli._out import print_empty, print_table, print_text
    from ipam_core.cli._tables import Table
    from ipam_core.subnet.groups import N_PLACEMENTS

    table = Table()
    table.text_column("Group")
    table.number_columns("Nodes", "maxPods", "Pods")
    table.text_column("A node holds")
    table.number_columns("Peak pods")
    table.text_column("A node holds")
    for group in groups:
        table.row(
            group.name,
            str(group.count),
            str(group.draws.max_pods),
            str(group.pods),
            _draw(group.draws.at(group.pods)),
            str(group.peak_pods),
            _draw(group.draws.at(group.peak_pods)),
        )
    print_table(table)
    for group in groups:
        print_text(
            f"{group.name}: maxPods {group.draws.max_pods}, {group.max_pods_rule}", indent="  "
        )
        if beyond := _beyond(group):
            print_text(
                f"{group.name}: maxPods lets in {group.draws.most_pods} pods that need an address, "
                f"and a node serves {group.draws.served}: {beyond} would never get one.",
                indent="  ",
                style="red",
            )
    print_empty()
    table = Table()
    table.text_column("State")
    table.number_columns("Nodes", "Pods", "Held", "Idle", "Free", "/28s", "No room", "Unserved")
    for state in states:
        table.row(
            state.name,
            *(f"{state.total(what):,}" for what in ("nodes", "pods", "held", "idle")),
            f"{sum(free for free, _ in state.free.values()):,}",
            f"{sum(prefixes for _, prefixes in state.free.values()):,}",
            *(f"{state.total(what):,}" for what in ("refused", "unserved")),
            style="" if state.fits else "red",
        )
    print_table(table)
    print_text(
        f"Held and free count addresses; the worst of {N_PLACEMENTS} random placements.",
        indent="  ",
    )
    if any(group.surge for group in groups):
        shown = ", ".join(f"{group.name} {group.surge}" for group in groups)
        print_text(f"Full nodes that an upgrade adds first: {shown}.", indent="  ")
    print_empty()
    table = Table()
    table.text_column("More nodes that fit")
    table.number_columns(*(state.name for state in states))
    for group in groups:
        table.row(group.name, *(f"{state.groups[group.name].fits:,}" for state in states))
    print_table(table)
    if len(states[0].free) > 1:
        print_empty()
        table = Table()
        table.text_column("Free: addresses / /28s")
        table.number_columns(*(state.name for state in states))
        for name in states[0].free:
            table.row(
                name,
                *(f"{state.free[name][0]:,} / {state.free[name][1]:,}" for state in states),
            )
        print_table(table)


def _draw(draw: Any) -> str:
    more = f"{draw.prefixes} /28s" if draw.prefixes else f"{draw.addresses} IPs"
    return f"{draw.enis} ENI{'s' * (draw.enis != 1)}, {more}"
