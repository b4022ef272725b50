"""`ipam-core subnet`: the content of a subnet, advice, and a forecast."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._given import LimitsOption, TypesFileOption, needed_type, one_type, variable
from ipam_core.cli._options import (
    EndpointUrlOption,
    JsonOption,
    PlotOption,
    ProfileOption,
    RegionOption,
    SeedOption,
    check_endpoint_url,
)
from ipam_core.cli._out import print_json, print_text, progress, progress_of, waiting
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam_core.instances import InstanceLimits
    from ipam_core.settings import Settings
    from ipam_core.subnet.inventory import Inventory
    from ipam_core.subnet.report import SubnetReport

subnet: typer.Typer = typer.Typer(
    name="subnet",
    help="See how a subnet is used and fragmented, and what to do about it.",
    no_args_is_help=True,
)

FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE",
        help="What aws ec2 describe-subnets, describe-network-interfaces, "
        "get-subnet-cidr-reservations and describe-instances print (JSON or YAML, a --query "
        "list, several appended; the last two optional), and kubectl get pods -A -o json, in "
        "any order.",
    ),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option(
        "-e", "--env", metavar="NAME=VALUE", help="A variable of the agent on such a node."
    ),
]
MaxPodsOption = Annotated[
    int | None,
    typer.Option(min=1, help="The kubelet's maxPods; default: the usual one of type and mode."),
]
LEAST_SOLVE_S = 0.1
MOST_SOLVE_S = 3600


@subnet.command()
def report(
    files: FilesArgument = None,
    subnet_id: Annotated[
        list[str] | None,
        typer.Option(help="Only these subnets; without files, read them from AWS."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Read the subnets of this EKS cluster from AWS.")
    ] = None,
    endpoint_url: EndpointUrlOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    win: Annotated[int, typer.Option(min=0, help="Free /28s that drains should win.")] = 8,
    reserve: Annotated[
        str | None,
        typer.Option(metavar="/BITS", help="Size of a CIDR reservation; default: an eighth."),
    ] = None,
    instance: Annotated[
        str | None,
        typer.Option(
            "--instance",
            "--instance-type",
            help="Type of the nodes to fit in; default: the most frequent.",
        ),
    ] = None,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    env: EnvOption = None,
    max_pods: MaxPodsOption = None,
    pods_per_node: Annotated[
        int | None, typer.Option(min=0, help="Pods on such a node; default: idle, and full.")
    ] = None,
    solve_seconds: Annotated[
        float, typer.Option(help="Seconds to search for the best drains, in total.")
    ] = 5.0,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show blocks, fragmentation and owners of subnets, and advise.

    Prefix mode needs free /28s; the advice says which leaked ENIs to delete, which nodes to
    drain to get some, where a CIDR reservation costs least, and how many nodes still fit. AWS
    is only read. The exit status is 1 if a subnet is critical or exhausted, no ENI can be
    created in it, or the input is doubtful.

    Example: ipam-core subnet report subnets.json interfaces.json --plot map.png
    """
    from ipam_core.cli._subnet_text import print_overview, print_report
    from ipam_core.subnet.advice import advise, usual_instance_type
    from ipam_core.subnet.inventory import read_inventory
    from ipam_core.subnet.report import report_on

    if not LEAST_SOLVE_S <= solve_seconds <= MOST_SOLVE_S:
        raise InputError(f"--solve-seconds {solve_seconds}: {LEAST_SOLVE_S} to {MOST_SOLVE_S}")
    settings = settings_of(env)
    reservation_size = _bits(reserve)
    chosen_type = one_type(instance, limits=limits, file=instance_types)
    if plot is not None:
        from ipam_core.plots.style import check_path

        check_path(plot)
    of_aws = {"--cluster": cluster, "--endpoint-url": endpoint_url, "--profile": profile,
              "--region": region}  # fmt: skip
    if files:
        for option, value in of_aws.items():
            if value is not None:
                raise InputError(f"{option} {value!r} reads from AWS: leave the files out")
        inventory = read_inventory(files)
        chosen = inventory.choose(subnet_id or ())
    else:
        check_endpoint_url(endpoint_url)
        inventory, chosen = _live(subnet_id or [], cluster, profile, region, endpoint_url)

    reports = [report_on(inventory, each) for each in chosen]
    advices = []
    until = time.monotonic() + solve_seconds
    with _solving(reports, win, until) as answer_for:
        for each in progress(reports, total=len(reports), what="Searching for drains"):
            usual = usual_instance_type(inventory, each)
            advices.append(
                advise(
                    each,
                    chosen_type or limits_for(each, usual, instance_types),
                    settings,
                    wanted=win,
                    type_assumed=chosen_type is None and usual is None,
                    reservation_size=reservation_size,
                    pods_per_node=pods_per_node,
                    max_pods=max_pods,
                    time_limit_s=max(until - time.monotonic(), 0),
                    apart=answer_for(each),
                )
            )
    if plot is not None:
        from ipam_core.plots.subnet import plot_blocks

        plot_blocks(reports, plot)
    if as_json:
        print_json(
            {
                "subnets": [
                    each.to_json() | {"advice": advice.to_json()}
                    for each, advice in zip(reports, advices, strict=True)
                ],
                "inputs": inventory.inputs,
                "notices": inventory.notices,
            }
        )
    else:
        for notice in inventory.notices:
            print_text(f"Note: {notice}", style="yellow")
        if len(reports) > 1:
            print_overview(reports, advices)
        for each, advice in zip(reports, advices, strict=True):
            print_report(each, advice)
    doubtful = any(
        each.skipped
        or not each.agrees
        or each.partial
        or each.has_no_single_address
        or each.fragmentation.band in ("critical", "exhausted")
        for each in reports
    )
    return 1 if doubtful else 0


def limits_for(
    report: SubnetReport, usual: str | None, types: Path | None = None
) -> InstanceLimits | str:
    """Return the limits of the type that most nodes of a subnet have, or why not."""
    from ipam_core.subnet.advice import DEFAULT_INSTANCE_TYPE, holds_more_than

    try:
        limits = needed_type(usual or DEFAULT_INSTANCE_TYPE, file=types)
    except InputError as error:
        return str(error)
    if usual is None and holds_more_than(report, limits):
        return (
            f"no instances are given, and ENIs here hold more than those of {limits.instance_type}"
        )
    return limits


@subnet.command()
def forecast(
    files: FilesArgument = None,
    cidr: Annotated[
        str | None, typer.Option(help="An empty subnet to start with, instead of files.")
    ] = None,
    subnet_id: Annotated[str | None, typer.Option(help="Which subnet of the files to use.")] = None,
    instance: Annotated[
        str, typer.Option("--instance", "--instance-type", help="Type of the nodes.")
    ] = "m5.large",
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    env: EnvOption = None,
    prefix_mode: Annotated[
        bool, typer.Option("--prefixes", help="Nodes take /28s, not secondary IPs.")
    ] = False,
    max_pods: MaxPodsOption = None,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes, on average.")] = 30,
    node_life: Annotated[float, typer.Option(help="Hours that a node stays.")] = 24.0,
    pods_per_node: Annotated[float, typer.Option(min=0, help="Pods, on average.")] = 12.0,
    pod_life: Annotated[float, typer.Option(help="Hours that a pod runs.")] = 2.0,
    hours: Annotated[float, typer.Option(help="Hours to forecast.")] = 48.0,
    seed: SeedOption = 0,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show free addresses and /28s over time under each placement of addresses.

    Pods and nodes come and go at random, at the mean rates that the options give. EC2 places
    addresses at random; `lowest` and `densest` show how many /28s other ways would keep free.
    Exits 1 if EC2 refuses a call, a node does not join, or a pod finds no room.

    Example: ipam-core subnet forecast --cidr 10.0.0.0/20 --nodes 60 --plot churn.svg
    """
    from ipam_core._subnet import Subnet
    from ipam_core.cli._forecast_text import print_forecast
    from ipam_core.subnet.forecast import Churn
    from ipam_core.subnet.forecast import forecast as look_ahead

    for name, hours_given in (("node-life", node_life), ("pod-life", pod_life), ("hours", hours)):
        if not 0 < hours_given < inf:
            raise InputError(f"--{name} {hours_given}: more than 0 hours, and an end")
    if not pods_per_node < inf:
        raise InputError(f"--pods-per-node {pods_per_node}: a number with an end")
    settings = settings_of(env)
    kind = needed_type("" if limits else instance, limits=limits, file=instance_types)
    if prefix_mode and not kind.nitro:
        raise InputError(f"--prefixes: {kind.instance_type} cannot have prefixes")
    if plot is not None:
        from ipam_core.plots.style import check_path

        check_path(plot)
    if bool(files) == (cidr is not None):
        raise InputError("give either files or --cidr to start with")
    if cidr is not None:
        try:
            start = Subnet(cidr)
        except ValueError as error:
            raise InputError(str(error)) from None
    else:
        start = _subnet_of(files or [], subnet_id)
    churn = Churn(
        nodes=nodes,
        node_life_h=node_life,
        pods_per_node=pods_per_node,
        pod_life_h=pod_life,
        hours=hours,
    )
    with progress_of("Forecasting") as on_progress:
        found = look_ahead(
            start,
            kind,
            settings,
            churn,
            prefix_mode=prefix_mode,
            max_pods=max_pods,
            seed=seed,
            on_progress=on_progress,
        )
    if plot is not None:
        from ipam_core.plots.subnet import plot_forecast

        plot_forecast(found, plot)
    if as_json:
        print_json(found.to_json())
    else:
        print_forecast(found)
    return 1 if found.refused else 0


def _subnet_of(files: list[Path], subnet_id: str | None) -> Any:
    from ipam_core.subnet.inventory import read_inventory
    from ipam_core.subnet.report import report_on

    inventory = read_inventory(files)
    chosen = inventory.choose([subnet_id] if subnet_id else ())
    if len(chosen) != 1:
        raise InputError(f"{len(chosen)} subnets in the files: choose one with --subnet-id")
    return report_on(inventory, chosen[0]).subnet


def _live(
    subnet_ids: list[str],
    cluster: str | None,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
) -> tuple[Inventory, list[str]]:
    from ipam_core.cloud.ec2 import open_session
    from ipam_core.subnet.live import read_live

    if not subnet_ids and cluster is None:
        raise InputError("no input: give files, or --subnet-id or --cluster to read from AWS")
    # A failed call is reported once, by the error.
    logging.getLogger("ipam_core").addHandler(logging.NullHandler())
    with waiting("Reading from AWS"):
        inventory, wanted = read_live(
            subnet_ids,
            cluster=cluster,
            session=open_session(profile, region),
            endpoint_url=endpoint_url,
        )
    # Those of a cluster may be IPv6-only; those asked for by name may not.
    return inventory, inventory.choose(wanted if cluster is None else ())


def settings_of(env: list[str] | None) -> Settings:
    """Return the settings of nodes that join, as `-e` gives them. Raises `InputError`."""
    from ipam_core.manifests import CHART_ENV
    from ipam_core.settings import Settings

    # Prefix mode on a cluster includes what the published manifest sets with it.
    usual = {"WARM_PREFIX_TARGET": CHART_ENV["WARM_PREFIX_TARGET"]}
    variables = usual | dict(map(variable, env or ()))
    settings = Settings.from_env(variables)
    if settings.warnings:
        raise InputError(f"--env {settings.warnings[0]}")
    return settings


def _bits(size: str | None) -> int | None:
    if size is None:
        return None
    bits = size.removeprefix("/")
    if not (bits.isascii() and bits.isdigit()):
        raise InputError(f"--reserve {size!r}: a prefix length, as /24")
    return int(bits)


@contextmanager
def _solving(
    reports: list[SubnetReport], wanted: int, until_s: float
) -> Iterator[Callable[[SubnetReport], Callable[..., Any]]]:
    """Search for drains in all subnets at once, on all processors, the smallest first.

    Gives what returns the answer for a report when its time is over. Time that one subnet does
    not need is left for the next ones.
    """
    from ipam_core.cli._processes import processes
    from ipam_core.subnet.drains import search_for, solve_until

    searches = {each.subnet_id: search_for(each, wanted) for each in reports}
    open_ones = {name: search for name, search in searches.items() if search is not None}
    n_jobs = max(min(len(open_ones), os.cpu_count() or 1), 1)
    with processes(n_jobs) as solver:
        answers = {}
        for at, name in enumerate(sorted(open_ones, key=lambda name: open_ones[name].size)):
            share = min(n_jobs / (len(open_ones) - at), 1.0)
            answers[name] = solver.submit(solve_until, open_ones[name], until_s, share)
        yield lambda report: lambda *_: answers[report.subnet_id].result()
