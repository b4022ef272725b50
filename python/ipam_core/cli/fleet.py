"""`ipam-core fleet`: fleets' files, made of what is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._options import (
    ContextOption,
    EndpointUrlOption,
    JsonOption,
    KubeconfigOption,
    NodesRegionOption,
    ProfileOption,
    check_endpoint_url,
)
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.k8s.access import Access
    from ipam_core.k8s.objects import KubeDaemonSet, KubeNode
    from ipam_core.recording.from_cluster import FleetDraft
    from ipam_core.recording.places import Places

app: typer.Typer = typer.Typer(
    help="Make the file of a fleet for simulate and tune.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Make the file of a fleet for simulate and tune."""


@app.command(name="from-cluster")
def from_cluster(
    output: Annotated[
        Path, typer.Argument(metavar="FILE", help="The fleet's file, YAML; its CSV is next to it.")
    ],
    recording: Annotated[
        Path, typer.Option(metavar="CSV", help="The pods, as `ipam-core record` wrote them.")
    ],
    aws: Annotated[
        bool, typer.Option("--aws/--no-aws", help="Read the nodes' subnets from AWS.")
    ] = True,
    warm_up: Annotated[
        str,
        typer.Option(
            metavar="DURATION", help="From the start of all nodes until what was recorded."
        ),
    ] = "10m",
    endpoint_url: EndpointUrlOption = None,
    profile: ProfileOption = None,
    region: NodesRegionOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write a fleet of the cluster's nodes, subnets and settings, with its recorded pods.

    So simulate and tune run on your cluster. Kubernetes and AWS are only read: nodes, the
    DaemonSet aws-node, the nodes' instances, and the ENIs of their subnets. Without AWS a /16
    is assumed for each zone. A pod whose node is no longer there is placed by the simulation's
    scheduler.

    Example: ipam-core fleet from-cluster fleet.yaml --recording pods.csv
    """
    from ipam_core.cli._out import print_error, print_json, print_text, waiting
    from ipam_core.k8s.access import Access
    from ipam_core.recording.from_cluster import ClusterNode, draft_fleet
    from ipam_core.recording.output import read_meta
    from ipam_core.recording.pods import Names
    from ipam_core.simulation.files import read_simulation
    from ipam_core.simulation.fleet.pod_events import read_events
    from ipam_core.simulation.validation import duration_ns
    from ipam_core.units import NS

    if output.suffix not in (".yaml", ".yml", ".json"):
        raise InputError(f"{output}: a name that ends in .yaml, .yml or .json")
    if not output.parent.is_dir():
        raise InputError(f"{output}: no folder {str(output.parent)!r}")
    events_path = output.with_suffix(".csv")
    if events_path.resolve() == recording.resolve():
        raise InputError(f"{events_path} is the recording itself: give the fleet another name")
    check_endpoint_url(endpoint_url)
    warm_up_s = duration_ns(warm_up, "--warm-up") // NS
    events = read_events(recording, "--recording")
    meta = read_meta(recording)
    access = Access.find(kubeconfig=kubeconfig, context=context)
    with waiting("Reading the cluster"):
        nodes, daemonset = asyncio.run(_read(access))
        places = _places(nodes, profile, region, endpoint_url) if aws else None
    draft = draft_fleet(
        [ClusterNode(node=node, variables=daemonset.environment.variables) for node in nodes],
        events,
        Names() if meta is None else meta[1],
        places=places,
        name=output.stem,
        events_file=events_path.name,
        warm_up_s=warm_up_s,
    )
    if daemonset.updated < daemonset.desired:
        draft.notes.append(
            f"aws-node's rollout is not complete: {daemonset.desired - daemonset.updated} of "
            f"{daemonset.desired} nodes have other settings than these"
        )
    draft.notes += [f"{key} is kept elsewhere ({where}), and taken as unset"
                    for key, where in daemonset.environment.unknown.items()]  # fmt: skip
    _write(output, events_path, draft)
    for note in draft.notes:
        print_error(note)
    facts = _facts(output, events_path, draft)
    if as_json:
        print_json(facts | {"notes": draft.notes})
    else:
        print_text(
            f"{output}: {facts['nodes']:,} nodes in {facts['groups']:,} groups, "
            f"{facts['subnets']:,} subnets, {facts['pods']:,} pods"
        )
        print_text(f"try: ipam-core simulate {output}", indent="  ", whole=True)
        print_text(f"     ipam-core tune {output}", indent="  ", whole=True)
    if not any("not in the table" in note for note in draft.notes):
        read_simulation(output)


async def _read(access: Access) -> tuple[list[KubeNode], KubeDaemonSet]:
    from ipam_core.k8s.client import DAEMONSETS, NODES, Client
    from ipam_core.k8s.connection import Connection
    from ipam_core.k8s.objects import DAEMONSET, NAMESPACE, daemonset_of, node_of

    async with Connection(access) as connection:
        client = Client(connection)
        daemonset = daemonset_of(await client.get(DAEMONSETS, DAEMONSET, NAMESPACE))
        return [node_of(item) for item in await client.items(NODES)], daemonset


def _places(
    nodes: list[KubeNode], profile: str | None, region: str | None, endpoint_url: str | None
) -> Places:
    from ipam_core.k8s.subnets import session_near
    from ipam_core.recording.places import read_places

    ids = [node.instance_id for node in nodes if node.runs_agent and node.instance_id]
    if not ids:
        raise InputError("no node's providerID names an EC2 instance; --no-aws goes on without")
    session = session_near(nodes, profile, region)
    return read_places(ids, session=session, endpoint_url=endpoint_url)


def _write(output: Path, events_path: Path, draft: FleetDraft) -> None:
    import json

    from ipam_core._extras import extra
    from ipam_core.recording.output import replace_file
    from ipam_core.simulation.fleet.pod_events import format_events

    replace_file(events_path, format_events(draft.events).encode())
    if output.suffix == ".json":
        text = json.dumps(draft.document, indent=2) + "\n"
    else:
        with extra("yaml", "a fleet's file as YAML"):
            import yaml
        text = yaml.safe_dump(draft.document, sort_keys=False)
    replace_file(output, text.encode())


def _facts(output: Path, events_path: Path, draft: FleetDraft) -> dict[str, Any]:
    return {
        "file": str(output),
        "events_file": str(events_path),
        "nodes": len(draft.name_of),
        "groups": len(draft.document["nodes"]),
        "subnets": len(draft.document["subnets"]),
        "pods": sum(event.add for event in draft.events),
        "events": len(draft.events),
    }
