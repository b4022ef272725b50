"""Causes before any address: the agent does not start, or the plugin cannot reach it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.diagnosis.doctor.agent import Run
from ipam_core.diagnosis.doctor.causes.common import (
    LOG_AT_WORK,
    count,
    ends_the_start,
    missing,
    span,
)
from ipam_core.diagnosis.doctor.finding import (
    Certainty,
    Finding,
    Status,
    covered,
    left_open,
    ruled_out,
)
from ipam_core.diagnosis.fixes import Fix
from ipam_core.diagnosis.inputs.case import Evidence, Refusal
from ipam_core.diagnosis.inputs.errors import HOST_STEPS
from ipam_core.diagnosis.inputs.events import AGENT_FAILS

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts

NOT_STARTED = "agent does not start"
_LOOK = (
    "kubectl -n kube-system get pods -o wide -l k8s-app=aws-node "
    "--field-selector spec.nodeName={node}"
)
_LOGS = "kubectl -n kube-system logs -l k8s-app=aws-node -c aws-node --prefix --tail 50"
_PROXY = "kubectl -n kube-system get pods -o wide -l k8s-app=kube-proxy"
_MANY = 2


def not_started(facts: Facts) -> Finding:
    """Judge whether the agent starts (#575, #1847, #2262, #1425)."""
    agent = facts.agent
    signs = _signs(facts)
    if agent.run is Run.WORKS:
        return ruled_out("the agent is at work in what was given")
    if agent.run is Run.UNKNOWN:
        return left_open(missing(facts, f"{LOG_AT_WORK}, or /v1/enis"))
    if agent.run is Run.FAILED:
        return _failed(facts, signs)
    if agent.run is Run.NO_API_SERVER:
        return _found(
            facts,
            signs,
            Certainty.CERTAIN,
            "The agent cannot reach the API server, so it does not start",
            f"it waits for an answer and gets none: {agent.reason}",
            (_PROXY, *_looks(facts)),
            "The address is the cluster's service IP: kube-proxy must run on this node before the "
            "agent can reach it. Then look at the security groups and routes between the node "
            "and the API server. No address is missing: pods wait for the agent.",
        )
    if agent.run is Run.WAITED_FOR:
        timed_out = any("imed out" in one.value for one in agent.evidence)
        if agent.starts < _MANY + 1 and not timed_out and not signs:
            return left_open(f"{LOG_AT_WORK}: the container's log ends right after its start")
        return _found(
            facts,
            signs,
            Certainty.CERTAIN if agent.starts > _MANY or timed_out else Certainty.LIKELY,
            "The agent does not come up: its container waits for it and it never starts",
            "aws-node's container waits until the agent answers on its port; it does not, and "
            "this log does not say why",
            _looks(facts),
            "Also give /var/log/aws-routed-eni/ipamd.log of the node: it has the agent's reason.",
        )
    return _starts_again(facts, signs)


def _failed(facts: Facts, signs: list[Evidence]) -> Finding:
    reason = facts.agent.reason
    if any(ends_the_start(facts, failure) for failure in facts.failures()):
        return covered("the call that EC2 refuses")
    if facts.denied():  # the line before the end names the call
        return covered("missing permission")
    if facts.sighting("no_eni_config", "no_eni_config_named"):
        return covered("custom networking without room")
    note, commands = _by_reason(reason)
    return _found(
        facts,
        signs,
        Certainty.CERTAIN,
        f"The agent does not start: {_short(reason)}",
        "it ends with this error and is started again; until it works no pod gets an address",
        (*commands, *_looks(facts)),
        note,
    )


def _by_reason(reason: str) -> tuple[str, tuple[str, ...]]:
    """Return the advice for a reason, and its command."""
    for words, note, commands in _REASONS:
        if any(word in reason for word in words):
            return note, commands
    return "The line names what failed; the lines before it say more.", ()


_REASONS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (
        HOST_STEPS,
        ("The agent cannot set up the network of the host: its links, routes and rules. It must "
        "run in the host's network with NET_ADMIN; the line says what is missing."),
        ("ip link; ip rule; ip route show table all",),
    ),
    (
        ("iptables", "xtables"),
        ("iptables on the node fails or is locked by another program. The agent is started again "
        "by the kubelet; if it repeats, find out which process holds /run/xtables.lock."),
        ("sudo fuser -v /run/xtables.lock",),
    ),
    (
        ("ipam state recovery", "backing store", "checkpointVersion", "already"),
        ("The checkpoint file cannot be restored. `ipam-core checkpoint import FILE` says what is "
        "wrong in it. Without it (drain the node, move /var/run/aws-node/ipam.json away, delete "
        "the node's aws-node pod) the agent starts as on a new node."),
        (),
    ),
    (
        ("validate configuration", "IPv4 and IPv6", "VETHPREFIX", "COOLDOWN", "PLUGIN_LOG_FILE"),
        "The agent refuses its settings; the line says which.",
        ("kubectl -n kube-system set env ds/aws-node --list",),
    ),
    (
        ("WARM_PREFIX_TARGET = 0",),
        "In prefix mode the container refuses WARM_PREFIX_TARGET=0 without an IP target.",
        ("kubectl -n kube-system set env ds/aws-node WARM_PREFIX_TARGET=1",),
    ),
    (
        ("index out of range", "nil pointer", "runtime error", "concurrent map"),
        "This is a fault of the agent: use another version, a newer one if available.",
        (),
    ),
    (
        ("ENI limit", "ENI IP limit", "unknown instance type", "instance type"),
        "This agent does not know the instance type: upgrade the agent.",
        (),
    ),
    (
        ("instance metadata", "EC2MetadataRequest", "169.254.169.254", "imds", "ec2imds"),
        ("Instance metadata (169.254.169.254) does not answer the agent. Is it enabled for the "
        "instance? Is there a proxy, a firewall or a network policy between?"),
        (("curl -s -m 3 -X PUT http://169.254.169.254/latest/api/token "
         "-H 'X-aws-ec2-metadata-token-ttl-seconds: 60'"),),
    ),
    (
        ("sts", "AssumeRole", "no EC2 IMDS role found", "NoCredentialProviders"),
        ("The agent gets no AWS credentials: see the role of aws-node's service account, and the "
        "way to the STS endpoint."),
        ("kubectl -n kube-system get serviceaccount aws-node -o yaml",),
    ),
)  # fmt: skip


def _starts_again(facts: Facts, signs: list[Evidence]) -> Finding:
    agent = facts.agent
    start = agent.evidence[-1]
    newest = facts.case.newest.get(start.source)
    shows = span((newest - start.time).total_seconds()) if newest and start.time else "a moment"
    if agent.starts < _MANY and not signs and not facts.refused.get(Refusal.UNREACHABLE):
        return left_open(f"{LOG_AT_WORK}: the log ends {shows} after the agent's start")
    again = agent.starts >= _MANY
    return _found(
        facts,
        signs,
        Certainty.CERTAIN if again and signs else Certainty.LIKELY,
        f"The agent does not come up: it started {count(agent.starts, 'time')} and never got "
        "to work"
        if again
        else "The agent does not come up: its log ends after its start, without an error",
        "a start that hangs waits for an answer, and the liveness probe ends it; the log then "
        "has no error",
        _looks(facts),
        "Its first calls after the last line are to AWS: with a role for the service account "
        "(IRSA) to STS, then to EC2. Check the path there: routes, NAT, VPC endpoints for sts "
        "and ec2, security groups, DNS, proxy. No address is missing: pods wait for the agent.",
    )


def unreachable(facts: Facts) -> Finding:
    """Judge whether the CNI plugin cannot reach the agent (#1590)."""
    refused = facts.refused.get(Refusal.UNREACHABLE, ())
    signs = _signs(facts)
    if facts.agent.run in (Run.FAILED, Run.NO_API_SERVER, Run.WAITED_FOR):
        return covered(NOT_STARTED)
    if facts.agent.run is Run.STARTS and (refused or signs or facts.agent.starts >= _MANY):
        return covered(NOT_STARTED)
    not_ready = next(
        (
            replace(node.evidence, value=f"node {node.name}: {node.not_ready}")
            for name, node in facts.case.nodes.items()
            if node.not_ready and facts.node in (name, "")
        ),
        None,
    )
    if not_ready is not None and "cni" not in not_ready.value.lower():
        not_ready = None
    evidence = [*refused, *signs, *((not_ready,) if not_ready else ())]
    if not evidence:
        if facts.agent.run is Run.WORKS and (facts.log_judges or facts.case.state):
            return ruled_out("the agent answers in what was given")
        return left_open("the events of the pods, or plugin.log")
    socket = any("ipamd.sock" in one.value for one in refused)
    return Finding(
        status=Status.FOUND,
        certainty=Certainty.CERTAIN if refused else Certainty.LIKELY,
        title="The CNI plugin cannot reach the agent on this node (ipamd is down or not ready)",
        why=(
            f"the plugin asks ipamd at {'its socket' if socket else '127.0.0.1:50051'} for an "
            "address; without an answer a pod fails, even if addresses are free"
        )
        if refused
        else "the kubelet's probes of aws-node fail, or the network plugin is not ready",
        evidence=tuple(evidence),
        fix=Fix(
            commands=_looks(facts),
            note="Look at aws-node, not at addresses. Why it is down is in "
            "/var/log/aws-routed-eni/ipamd.log of the node"
            + (": the lines before it went down." if facts.case.log else ": give it too."),
        ),
    )


def bad_checkpoint(facts: Facts) -> Finding:
    """Judge whether the agent's start would fail with the given checkpoint file (#2110)."""
    bad = facts.case.bad_checkpoints
    if not bad:
        if any(kind == "checkpoint" for _, kind in facts.case.files):
            return ruled_out("the checkpoint file can be restored")
        if facts.agent.run is Run.WORKS:
            return ruled_out("the agent is at work in what was given")
        return left_open("/var/run/aws-node/ipam.json")
    return Finding(
        status=Status.FOUND,
        certainty=Certainty.CERTAIN,
        title=f"An agent that starts with {_files(bad)} fails",
        why="it restores its assignments from this file, and refuses one that is damaged or "
        "gives an address twice",
        evidence=tuple(bad),
        fix=Fix(
            commands=(f"ipam-core checkpoint import {bad[0].file}",),
            note="It names what is wrong. Drain the node, move the file away and delete the "
            "node's aws-node pod: the agent then starts as on a new node.",
        ),
    )


def _files(bad: list[Evidence]) -> str:
    return " or ".join(sorted({one.file for one in bad}))


def _found(
    facts: Facts,
    signs: list[Evidence],
    certainty: Certainty,
    title: str,
    why: str,
    commands: tuple[str, ...],
    note: str,
) -> Finding:
    return Finding(
        status=Status.FOUND,
        certainty=certainty,
        title=title,
        why=why,
        evidence=(*facts.agent.evidence, *signs, *facts.refusals),
        fix=Fix(commands=commands, note=note),
    )


def _signs(facts: Facts) -> list[Evidence]:
    """Return the events that say that aws-node fails on this node."""
    reasons = facts.case.events.reasons if facts.case.events else {}
    return [
        seen.counted()
        for (reason, node), seen in reasons.items()
        if reason.startswith((AGENT_FAILS, "NetworkNotReady"))
        and node in (facts.node, "")
        and facts.recent(seen)
    ]


def _looks(facts: Facts) -> tuple[str, ...]:
    return (_LOOK.format(node=facts.node or "NODE"), _LOGS)


def _short(reason: str) -> str:
    return reason if len(reason) <= 140 else f"{reason[:137]}..."
