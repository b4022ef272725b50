"""`ipam-core explain`: what settings do on a node, before any node has them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.cli._given import (
    AddonOption,
    BaseOption,
    DaemonSetOption,
    EnvOption,
    InstanceOption,
    LimitsOption,
    ManifestOption,
    SettingsOption,
    StrictOption,
    TypesFileOption,
    ValuesOption,
    chosen_types,
    read_given,
    variable,
)
from ipam_core.cli._options import JsonOption, OwnPolicyOption, SeedOption, policy_named
from ipam_core.cli._out import print_error, print_json, print_xml, waiting
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam_core.cli._given import GivenSettings
    from ipam_core.diagnosis.explain.explanation import Explanation
    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy

_FORMATS = ("text", "json", "junit", "sarif")
_SEVERITIES = ("error", "warning")
MANY_TYPES = 30
"""Of so many types `--all` is mentioned: one takes up to a second."""


def explain(
    types: Annotated[
        list[str] | None,
        typer.Argument(metavar="TYPE", help="Instance types, or patterns with * and ?."),
    ] = None,
    instance: InstanceOption = None,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    env: EnvOption = None,
    settings: SettingsOption = None,
    manifest: ManifestOption = None,
    values: ValuesOption = None,
    addon: AddonOption = None,
    base: BaseOption = None,
    daemonset: DaemonSetOption = "",
    strict: StrictOption = False,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="New settings in any form: shows what they change."),
    ] = None,
    compare_env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A new value; NAME- removes a variable."),
    ] = None,
    max_pods: Annotated[
        int | None, typer.Option(min=1, help="The kubelet's maxPods; default: the usual one.")
    ] = None,
    subnet_free: Annotated[
        int | None, typer.Option(min=0, help="Free addresses of the subnet; default: no limit.")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="The number of nodes for the price.")] = 100,
    policy: OwnPolicyOption = "vpc-cni",
    seed: SeedOption = 0,
    fail_on: Annotated[
        str,
        typer.Option(
            metavar="warning|error", help="The lowest severity that makes the exit status 1."
        ),
    ] = "warning",
    output: Annotated[
        str, typer.Option("--format", metavar="text|json|junit|sarif", help="What to print.")
    ] = "text",
    everything: Annotated[
        bool,
        typer.Option("--all", help="All types, or those given: a verdict for each, no findings."),
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="List every finding and stop.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Show what settings do on a node: whether every pod gets an address, at what cost.

    Plays a new node from 0 pods to maxPods and back, and shows the table, what is wrong, why,
    and what to set instead. Advice is for all the types given: it is played on each of them
    before it is printed. Exits 1 if something is wrong: pods that get no address, or a finding
    of severity error or warning; with --compare, if something becomes worse. With --all only the
    states at rest are worked out: about a second for every type that there is.

    Example: ipam-core explain m8g.4xlarge m5.large -e MINIMUM_IP_TARGET=25
    """
    if output not in _FORMATS or fail_on not in _SEVERITIES:
        wrong = (
            ("--format", output, _FORMATS)
            if output not in _FORMATS
            else ("--fail-on", fail_on, _SEVERITIES)
        )
        raise InputError(f"{wrong[0]} takes {', '.join(wrong[2])}, not {wrong[1]!r}")
    output = "json" if as_json else output
    if show_list:
        return _list(output)
    wanted = [*(types or []), *(instance or [])]
    if everything:
        played = {
            "--compare": compare,
            "--compare-env": compare_env,
            "--subnet-free": subnet_free,
        }
        for option, value in played.items():
            if value is not None:
                raise InputError(f"--all plays no node, and takes no {option}")
        if output not in ("text", "json"):
            raise InputError(f"--all prints text or json, not {output}")
        if not wanted and not limits and not instance_types:
            wanted = ["*"]
    if not wanted and not limits and not instance_types:
        raise InputError("give an instance type, as --instance m5.large, or m5.large alone")
    chosen = chosen_types(wanted, limits=limits, file=instance_types)
    given = read_given(
        env or [],
        settings=settings,
        manifest=manifest,
        values=values,
        addon=addon,
        base=base,
        daemonset=daemonset,
        strict=strict,
    )
    rules = policy_named(policy, or_own=True)
    if everything:
        return _survey(chosen, given, max_pods, rules, fail_on, output)

    def play(found: GivenSettings, each: InstanceLimits) -> Explanation:
        from ipam_core.diagnosis.explain.explanation import explain as explain_one

        return explain_one(
            each,
            found.variables,
            unknown=found.unknown,
            version=found.version,
            max_pods=max_pods,
            subnet_free=subnet_free,
            policy=rules,
            seed=seed,
        )

    if compare is not None or compare_env:
        then = _then(given, compare, compare_env or [], strict)
        return _compare(chosen, given, then, play, fail_on, output)
    from ipam_core.diagnosis.explain.together import agree

    if len(chosen) >= MANY_TYPES and subnet_free is None:
        print_error(
            f"{len(chosen)} types are simulated one by one, for their findings; --all gives a "
            "verdict for each in seconds"
        )
    with waiting("Simulating the node"):  # thousands of pods take seconds
        explained = agree([play(given, each) for each in chosen])
    _print(explained, given, nodes, fail_on, output)
    return 0 if all(_passes(each, fail_on) for each in explained) else 1


def _print(
    explained: Sequence[Explanation],
    given: GivenSettings,
    n_nodes: int,
    fail_on: str,
    output: str,
) -> None:
    from ipam_core.cli._explain_machine import junit, plain_prices, plain_together, sarif
    from ipam_core.cli._explain_text import print_explained, print_together
    from ipam_core.diagnosis.explain.explanation import CHECKS
    from ipam_core.diagnosis.explain.together import one_for_all

    kinds = [check.kind for check in CHECKS]
    if output == "json":
        print_json(
            {
                "healthy": all(each.healthy for each in explained),
                "read": list(given.read),
                "nodes": [each.to_dict() for each in explained],
                "prices": plain_prices(explained),
                "together": plain_together(one_for_all(explained), explained),
            }
        )
    elif output == "junit":
        print_xml(junit(explained, kinds, lambda severity: severity in _failing(fail_on)))
    elif output == "sarif":
        print_json(sarif(explained, kinds, given.origin))
    else:
        print_explained(explained, given, n_nodes)
        print_together(one_for_all(explained), explained, given.place, n_nodes)


def _survey(
    chosen: Sequence[InstanceLimits],
    given: GivenSettings,
    max_pods: int | None,
    policy: Policy,
    fail_on: str,
    output: str,
) -> int:
    from ipam_core.cli._explain_all import print_all, print_all_json
    from ipam_core.diagnosis.explain.survey import survey

    surveyed = survey(chosen, given.variables, max_pods=max_pods, policy=policy)
    (print_all_json if output == "json" else print_all)(surveyed, given)
    good = all(
        each.healthy if fail_on == "warning" else each.verdict.serves_all for each in surveyed
    )
    return 0 if good else 1


def _list(output: str) -> int:
    from ipam_core.cli._explain_text import print_kinds
    from ipam_core.diagnosis.explain.explanation import CHECKS
    from ipam_core.diagnosis.explain.plain import plain_kind

    kinds = [check.kind for check in CHECKS]
    if output == "json":
        print_json([plain_kind(kind) for kind in kinds])
    else:
        print_kinds(kinds)
    return 0


def _failing(fail_on: str) -> tuple[str, ...]:
    """Return the severities that fail."""
    return _SEVERITIES[: _SEVERITIES.index(fail_on) + 1]


def _passes(each: Explanation, fail_on: str) -> bool:
    """Return whether a node serves all and no finding has a severity that fails."""
    found = {str(finding.kind.severity) for finding in each.findings}
    return each.verdict.serves_all and found.isdisjoint(_failing(fail_on))


# --- two sets of settings -----------------------------------------------------------------


def _then(given: GivenSettings, file: Path | None, env: list[str], strict: bool) -> GivenSettings:
    """Return the new settings: those of a file, or the given ones with some changed."""
    from dataclasses import replace

    found = read_given(settings=file, strict=strict) if file is not None else given
    removed = [each for each in env if each.endswith("-") and "=" not in each]
    set_to = dict(variable(each) for each in env if each not in removed)
    gone = {variable(f"{each[:-1]}=")[0] for each in removed}
    variables = {k: v for k, v in found.variables.items() if k not in gone} | set_to
    unknown = {k: v for k, v in found.unknown.items() if k not in {*set_to, *gone}}
    return replace(found, variables=variables, unknown=unknown)


def _compare(
    chosen: Sequence[InstanceLimits],
    given: GivenSettings,
    then: GivenSettings,
    play: Callable[[GivenSettings, InstanceLimits], Explanation],
    fail_on: str,
    output: str,
) -> int:
    from ipam_core.cli._explain_compare import plain_changes, print_changes

    if output not in ("text", "json"):
        raise InputError(f"--compare prints text or json, not {output}")
    with waiting("Simulating the node"):
        pairs = [(play(given, each), play(then, each)) for each in chosen]
    if output == "json":
        print_json({"types": [plain_changes(pair) for pair in pairs]})
    else:
        print_changes(pairs, (*given.read, *(then.read if then.read != given.read else ())))
    return 1 if any(_newly_fails(*pair, fail_on) for pair in pairs) else 0


def _newly_fails(before: Explanation, after: Explanation, fail_on: str) -> bool:
    """Return whether fewer pods are served, or a finding that fails is new."""
    failing = _failing(fail_on)
    old, new = (
        {f.kind.identifier for f in each.findings if str(f.kind.severity) in failing}
        for each in (before, after)
    )
    return after.verdict.served < before.verdict.served or bool(new - old)
