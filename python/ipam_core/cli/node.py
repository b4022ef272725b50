"""`ipam-core node`: a real node as EC2 shows it, and what its next pool check would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._given import (
    EnvOption,
    LimitsOption,
    ManifestOption,
    SettingsOption,
    TypesFileOption,
    read_given,
    types_given,
)
from ipam_core.cli._options import (
    EndpointUrlOption,
    EniConfigOption,
    JsonOption,
    PolicyOption,
    ProfileOption,
    RegionOption,
    check_endpoint_url,
    check_id,
    eni_config_of,
    policy_named,
)

if TYPE_CHECKING:
    from ipam_core.cli._given import GivenSettings
    from ipam_core.cli._tables import Table
    from ipam_core.cloud.aws import AwsCloud
    from ipam_core.cloud.plan import ObservedNode, PlannedCall
    from ipam_core.settings import Settings

app: typer.Typer = typer.Typer(
    help="Show a real node through EC2; nothing is changed.", no_args_is_help=True
)

InstanceOption = Annotated[
    str, typer.Option("--instance-id", metavar="ID", help="The node's EC2 instance: i-...")
]


@app.command()
def plan(
    instance_id: InstanceOption,
    pods: Annotated[
        int, typer.Option(min=0, help="Pods with an address (EC2 does not know this).")
    ] = 0,
    max_pods: Annotated[
        int | None, typer.Option(min=1, help="The kubelet's maxPods; default: the usual one.")
    ] = None,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    settings: SettingsOption = None,
    manifest: ManifestOption = None,
    env: EnvOption = None,
    eni_config: EniConfigOption = None,
    policy: PolicyOption = "vpc-cni",
    endpoint_url: EndpointUrlOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the EC2 calls that the next pool check would make and why, making no change.

    Assumes that the node was idle for ten minutes, and is not cordoned.

    Example: ipam-core node plan --instance-id i-0123456789abcdef0 --pods 25
    --env MINIMUM_IP_TARGET=25 --env WARM_IP_TARGET=10
    """
    from ipam_core.cli._out import print_empty, print_json, print_table, print_text
    from ipam_core.cloud.plan import ObservedNode
    from ipam_core.simulation.given_types import limits_of

    given = read_given(env or [], settings=settings, manifest=manifest)
    types = types_given(limits, instance_types)
    cloud = _cloud(instance_id, endpoint_url, profile, region, eni_config)
    observed = ObservedNode(
        cloud,
        _settings(given),
        policy=policy_named(policy),
        max_pods=max_pods,
        n_pods=pods,
        limits=limits_of(cloud.instance.instance_type, types),
    )
    heading = [*given.read, *_heading(observed)]
    planned = observed.plan()
    if as_json:
        calls = [
            {"api": call.api, "changes": call.changes, "arguments": call.arguments}
            for call in planned.calls
        ]
        print_json(
            {"instance_id": instance_id, "pods": pods, "calls": calls, "why": planned.reasons}
        )
        return 0
    for line in heading:
        print_text(line)
    print_text(f"{pods} pods assumed to hold an address (--pods)")
    print_text("Why:", before=True)
    for reason in planned.reasons:
        print_text(reason, indent="  ")
    print_empty()
    n_changes = sum(call.changes for call in planned.calls)
    print_text(f"The next pool check: {len(planned.calls)} EC2 calls, {n_changes} of them changes")
    print_table(_call_table(planned.calls))
    return 0


@app.command()
def enis(
    instance_id: InstanceOption,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    settings: SettingsOption = None,
    manifest: ManifestOption = None,
    env: EnvOption = None,
    endpoint_url: EndpointUrlOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the node's ENIs as the library sees them; with --json as /v1/enis does.

    EC2 does not know which addresses pods hold, so none is shown as held.

    Example: ipam-core node enis --instance-id i-0123456789abcdef0 --region eu-west-1
    """
    from datetime import UTC, datetime

    from ipam_core.cli._out import print_json, print_table, print_text
    from ipam_core.cloud.plan import ObservedNode
    from ipam_core.ipamd.introspection import enis_document
    from ipam_core.simulation.given_types import limits_of

    given = read_given(env or [], settings=settings, manifest=manifest)
    types = types_given(limits, instance_types)
    cloud = _cloud(instance_id, endpoint_url, profile, region)
    kind = limits_of(cloud.instance.instance_type, types)
    observed = ObservedNode(cloud, _settings(given), limits=kind)
    if as_json:
        print_json(enis_document(observed.node.stores, datetime.now(UTC)))
        return 0
    for line in [*given.read, *_heading(observed)]:
        print_text(line)
    print_table(_eni_table(observed))
    if observed.node.unmanaged:
        left = ", ".join(sorted(observed.node.unmanaged))
        print_text(f"not managed, because of their tags: {left}")
    return 0


def _settings(given: GivenSettings) -> Settings:
    from ipam_core.settings import Settings

    return Settings.from_env(given.variables, unknown=given.unknown)


def _cloud(
    instance_id: str,
    endpoint_url: str | None,
    profile: str | None,
    region: str | None,
    eni_config: str | None = None,
) -> AwsCloud:
    from ipam_core.cloud.aws import AwsCloud
    from ipam_core.cloud.ec2 import open_session

    check_id("--instance-id", instance_id, "i")
    check_endpoint_url(endpoint_url)
    given = None if eni_config is None else eni_config_of(eni_config)
    return AwsCloud(
        open_session(profile, region),
        instance_id=instance_id,
        endpoint_url=endpoint_url,
        eni_config=(lambda: given) if given else None,
    )


def _heading(observed: ObservedNode) -> list[str]:
    node, instance = observed.node, observed.instance
    n_enis = sum(len(store.enis()) for store in node.stores)
    total = sum(store.stats(0).total for store in node.stores)
    return [
        f"{instance.instance_id}  {instance.instance_type}  {instance.zone}  {node.mode} mode",
        f"{n_enis} of {node.max_enis} ENIs, {total} addresses for pods, max pods {node.max_pods}",
        *(f"warning: {warning}" for warning in node.settings.warnings),
        *(f"warning: {unable}" for unable in observed.unable()),
    ]


def _call_table(calls: tuple[PlannedCall, ...]) -> Table:
    from ipam_core.cli._tables import Table

    table = Table(headings=False)
    table.number_columns("")
    table.text_column(no_wrap=True)
    table.text_column()
    for number, call in enumerate(calls, 1):
        arguments = (f"{name} {_short(value)}" for name, value in call.arguments.items())
        table.row(str(number), call.api, ", ".join(arguments))
    return table


def _short(value: Any) -> str:
    """Return a value as text; of a long list, the number of values."""
    if not isinstance(value, tuple):
        return str(value)
    return " ".join(value) if len(value) == 1 else f"({len(value)})"


def _eni_table(observed: ObservedNode) -> Table:
    from ipam_core.cli._tables import Table

    table = Table()
    for name in ("ENI", "subnet"):
        table.text_column(name, no_wrap=True)
    table.text_column("kind")
    table.number_columns("card", "dev", "IPs", "/28s", "free")
    for store in observed.node.stores:
        for eni in store.enis():
            held = store.eni_stats(eni.eni_id, 0)
            kinds = ("primary", "trunk", "efa", "excluded")
            table.row(
                eni.eni_id,
                eni.subnet_id,
                " ".join(kind for kind in kinds if getattr(eni, kind)),
                *map(str, (eni.network_card, eni.device_number, held.addresses, held.prefixes)),
                str(observed.node.slots - held.slots_used),
            )
    return table
