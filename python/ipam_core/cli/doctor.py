"""`ipam-core doctor`: why a node is stuck, by its files."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._doctor_node import PREFIX, cluster_of, node_named
from ipam_core.cli._given import LimitsOption, TypesFileOption, one_type
from ipam_core.cli._options import ContextOption, JsonOption, KubeconfigOption
from ipam_core.cli._out import print_text, progress_of
from ipam_core.ipamd.messages import POD_EVENT_REASON
from ipam_core.units import counted

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.diagnosis import Diagnosis
    from ipam_core.diagnosis.doctor.finding import Finding
    from ipam_core.diagnosis.doctor.pools import Pool
    from ipam_core.diagnosis.doctor.prognosis import Outcome, Prognosis
    from ipam_core.diagnosis.fixes import Fix
    from ipam_core.diagnosis.inputs.case import Case, Evidence
    from ipam_core.k8s.access import Access
    from ipam_core.k8s.debug_pod import DebugPod

_STYLES = {"found": "bold red", "cannot tell": "bold yellow", "healthy": "bold green"}
_CODE = re.compile(r"api error [\w.]+|\b(?:[A-Z][a-z]+){2}\w*(?:\.\w+)*(?=: )")
"""The code of an error in a log's line: of the SDK for Go, version 2 or 1."""
PODS_SHOWN = 3
"""The number of refused pods that are named; `--json` names all."""
WORTH_A_BAR = 20 << 20
"""Fewer bytes than this are read in less than a second."""


def doctor(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="NODE|FILE...",
            help="A node of the cluster (node/NAME), or files, directories or archives of it; "
            "- is standard input.",
        ),
    ],
    instance: Annotated[
        str,
        typer.Option(
            "--instance",
            "--instance-type",
            help="The instance type, if no log shows it: m8g.4xlarge.",
        ),
    ] = "",
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    max_pods: Annotated[
        int | None, typer.Option(min=1, help="The kubelet's maxPods, if no log shows it.")
    ] = None,
    node: Annotated[
        str, typer.Option(help="The node's name, if events are of several nodes.")
    ] = "",
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    debug_pod: Annotated[
        bool,
        typer.Option("--debug-pod", help="Run a pod on the node that reads its ipamd.log."),
    ] = False,
    debug_image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="The image of that pod; default: busybox.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE.tar.gz", help="Write what was collected, without secrets."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Say why pods get no address on a node, by its files, and what fixes it.

    With the name of a node the files are collected from the cluster: settings, what the agent
    shows, events, the Node, the log of aws-node. docs/cluster.md has the permissions. Else give
    any of: /v1/enis, /v1/ipamd-env-settings and the metrics of the agent; its logs
    (ipamd.log, rotated and gzipped too, kubectl logs, plugin.log); the aws-node DaemonSet
    or its variables; the Node; events (kubectl get events, kubectl describe); CloudTrail
    events; or a directory or archive of them, such as aws-cni-support makes.

    Exits 0 if the files show that nothing is wrong, 1 if something is wrong or they do not show it.

    Examples: ipam-core doctor examples/stuck-node/

    ipam-core doctor node/ip-10-0-1-17.eu-west-1.compute.internal --save node.tar.gz
    """
    from ipam_core.cli._out import print_json
    from ipam_core.diagnosis.doctor.diagnosis import diagnose
    from ipam_core.diagnosis.inputs.collect import read_case, total_bytes
    from ipam_core.errors import InputError
    from ipam_core.instances import as_text

    options = {
        "--kubeconfig": kubeconfig is not None,
        "--context": bool(context),
        "--debug-pod": debug_pod,
        "--debug-image": debug_image is not None,
        "--save": save is not None,
    }
    if debug_image is not None and not debug_pod:
        raise InputError("--debug-image goes with --debug-pod")
    if name := node_named(paths, options=options):
        sure = str(paths[0]).startswith(PREFIX) or any(options.values())
        access = cluster_of(name, kubeconfig, context, sure=sure)
        case = _case_of(name, access, _debug_pod(debug_image) if debug_pod else None, save)
        node = node or name
    else:
        n_bytes = total_bytes(paths)
        worth_a_bar = n_bytes >= WORTH_A_BAR
        with progress_of("reading", n_bytes) if worth_a_bar else nullcontext() as advance:
            case = read_case(paths, advance)
    given = one_type(instance, limits=limits, file=instance_types)
    diagnosis = diagnose(
        case, instance_type=as_text(given) if given else "", max_pods=max_pods, node=node
    )
    if as_json:
        print_json(diagnosis.to_dict())
    else:
        _print_diagnosis(diagnosis)
    return 0 if diagnosis.healthy else 1


def _case_of(name: str, access: Access, debug: DebugPod | None, bundle: Path | None) -> Case:
    """Collect a node's files, write the bundle if one is wanted, and read them."""
    from ipam_core.cli import _doctor_node
    from ipam_core.diagnosis.inputs.case import Unread
    from ipam_core.diagnosis.inputs.collect import read_case

    if bundle is not None:
        _doctor_node.check_new(bundle)
    found = _doctor_node.collect(access, name, debug)
    if bundle is not None:
        _doctor_node.save(found, name, bundle)
    with _doctor_node.in_folder(found) as folder:
        case = read_case([folder])
    case.unread += [Unread(file=what, why=why) for what, why in found.missing]
    return case


def _debug_pod(image: str | None) -> DebugPod:
    from ipam_core.k8s.debug_pod import IMAGE, DebugPod

    return DebugPod(image=image or IMAGE)


# --- for people ---------------------------------------------------------------------------


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    print_text(_node_line(diagnosis), style="dim")
    certainty = f"  [{diagnosis.found[0].certainty}]" if diagnosis.found else ""
    print_text(f"{diagnosis.verdict()}{certainty}", style=_STYLES[diagnosis.answer])
    for each in diagnosis.facts.contradictions if diagnosis.found else ():
        print_text(f"The inputs contradict each other: {each}.", style="yellow")
    for card, pool in diagnosis.facts.others.items():
        print_text(
            f"Network card {card} is not judged: {_counts(pool)}. A pod that wants one address "
            "gets it from the first card that has one (agents from v1.20)."
        )
    printed: set[Any] = set()
    for number, finding in enumerate(diagnosis.found):
        if number:
            print_text(f"Also: {finding.title}  [{finding.certainty}]", style="bold", before=True)
        _print_finding(finding, printed)
    if not diagnosis.found:
        _print_evidence(diagnosis.facts.refusals)
    if not diagnosis.healthy:
        _tell_list("Why this is not certain", diagnosis.doubts[1:] if not diagnosis.found else ())
        _tell_list("To learn more, give also", diagnosis.gives())
    _tell_causes("Ruled out", diagnosis.ruled_out)
    _tell_causes("Not judged", diagnosis.open)
    _tell_list("Notes", diagnosis.notes())


def _tell_list(heading: str, lines: tuple[str, ...]) -> None:
    if not lines:
        return
    print_text(heading, style="bold", before=True)
    for line in lines:
        print_text(line, indent="  ")


def _print_finding(finding: Finding, printed: set[Any]) -> None:
    """Print a finding without what is already in `printed`; add to it."""
    rule = () if finding.rule in printed else finding.rule
    print_text(f"{finding.why}:" if rule else finding.why)
    for line in rule:
        print_text(line, indent="  ")
    _print_evidence(tuple(each for each in finding.evidence if each not in printed))
    printed |= {finding.rule, *finding.evidence}
    fix = finding.fix
    if fix is None:
        return
    print_text("Fix", style="bold", before=True)
    _tell_commands(fix)
    if fix.note:
        print_text(fix.note, indent="  ")
    if finding.prognosis:
        print_text("What it will do (simulated from this node's state)", style="bold", before=True)
        for line in _prognosis_lines(finding.prognosis, fix.simulated):
            print_text(line, indent="  ")
    elif finding.not_simulated:
        print_text(f"Not simulated: {finding.not_simulated}.", indent="  ")


def _tell_commands(fix: Fix) -> None:
    if fix.options:
        print_text("One of these:", indent="  ")
    for number, option in enumerate(fix.options, 1):
        print_text(f"{number}. {option.title}", indent="  ")
        for command in option.commands:
            print_text(command, indent="     ", style="green", whole=True)
    for command in () if fix.options else fix.commands:
        print_text(command, indent="  ", style="green", whole=True)


def _print_evidence(evidence: tuple[Evidence, ...]) -> None:
    if evidence:
        print_text("Evidence", style="bold", before=True)
    pods = [each for each in evidence if each.value.startswith(POD_EVENT_REASON)]
    unsaid = pods[PODS_SHOWN:]
    for each in evidence:
        if each not in unsaid:
            print_text(f"{each.place}  {_short(each.value)}", indent="  ")
    if unsaid:
        print_text(f"{unsaid[0].file}  the same of {counted(len(unsaid), 'more pod')}", indent="  ")


def _tell_causes(heading: str, findings: tuple[Finding, ...]) -> None:
    if not findings:
        return
    print_text(heading, style="bold", before=True)
    causes: dict[str, list[str]] = {}
    for finding in findings:
        causes.setdefault(finding.why, []).append(finding.cause)
    for why, named in causes.items():
        print_text(f"{', '.join(named)}: {why}", indent="  ")


def _node_line(diagnosis: Diagnosis) -> str:
    facts = diagnosis.facts
    parts = [
        facts.node,
        facts.limits.instance_type if facts.limits else "",
        f"agent {facts.version}" if facts.version else "",
        "IPv6 mode" if facts.settings.enable_ipv6 else "",
        "network card 0" if facts.others else "",
    ]
    if facts.enis is not None and facts.case.state:
        parts.append(f"{len(facts.enis)} of {facts.max_enis or '?'} ENIs")
    if facts.pool:
        parts.append(_counts(facts.pool))
    return ", ".join(part for part in parts if part) or "a node whose pool is not shown"


def _counts(pool: Pool) -> str:
    return (
        f"{counted(pool.total, 'address')}: {pool.assigned} assigned, "
        f"{pool.cooling} cooling, {max(pool.assignable, 0)} to give"
    )


def _prognosis_lines(prognosis: Prognosis, option: int | None) -> list[str]:
    lines = [
        f"as it is: {_outcome(prognosis.as_it_is, prognosis.waiting)}",
        f"with {option or 'it'}:  {_outcome(prognosis.with_fix, prognosis.waiting)}",
    ]
    if prognosis.with_fix.waiting == 0:
        lines.append(f"then more pods start, until {prognosis.serves} run")
    return lines


def _outcome(outcome: Outcome, waiting: int) -> str:
    if outcome.served_after_s is None:
        what = f"after 10 min {counted(outcome.waiting, 'pod')} of {waiting} waiting"
    elif outcome.served_after_s == 0:
        what = f"{counted(waiting, 'pod')} served at once"
    else:
        what = f"{counted(waiting, 'pod')} served within {outcome.served_after_s:.3g} s"
    shown = list(outcome.requests[:3])
    if len(outcome.requests) > len(shown):
        shown.append(f"{len(outcome.requests) - len(shown)} more")
    calls = ", ".join(shown) or "no EC2 call"
    held = f"{counted(outcome.total, 'address')} on {counted(outcome.enis, 'ENI')}"
    return f"{what}; {held}; {calls}"


def _short(value: str) -> str:
    """Return a value in one line; of a long one, the start and the end, where the reason is.

    The error's code is kept if it is between them.
    """
    line = " ".join(value.split())
    if len(line) <= 200:
        return line
    start, end = line[:90], line[-105:]
    code = _CODE.search(line)
    if code is None or code[0] in start or code[0] in end:
        return f"{start} ... {end}"
    return f"{line[: min(code.start(), 90)].rstrip()} ... {code[0]} ... {end}"


# --- for machines -------------------------------------------------------------------------
