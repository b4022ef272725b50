"""The scenario format: a file read into values (docs/scenarios.md).

A scenario file is JSON or YAML and holds one scenario or a list of them. Reading
checks everything before anything is played: an unknown key, step or value is an
`InputError` that names it and says what is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core.documents import load_documents
from ipam_core.errors import InputError, UnknownInstanceTypeError
from ipam_core.simulation.scenario.bounds import check_bounds
from ipam_core.simulation.scenario.spec import EC2_APIS, Scenario, ScenarioStep
from ipam_core.simulation.validation import (
    boolean,
    integer,
    integers,
    known_keys,
    mapping,
    non_empty,
    one_of,
    positive,
    sequence,
    shown,
    texts,
    variable_changes,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EXPECT_KEYS = frozenset({
    "enis",
    "attached_enis_ec2",
    "ips_per_eni",
    "prefixes_per_eni",
    "total_ips",
    "assigned_ips",
    "free_ips",
    "cooldown_ips",
    "prefixes",
    "free_prefixes",
    "short",
    "over",
    "ip_targets_defined",
    "pool_low",
    "pool_high",
    "pending_pods",
    "pod_error",
    "init_error",
    "ec2",
    "requests",
    "insufficient_cidr_cooldown",
    "removed",
    "deleted",
    "tagged_created_at",
    "unsettled",
    "cards",
    "docs",
})  # fmt: skip
"""The keys of an `expect`; `docs` is for people and not checked."""

SCENARIO_KEYS = (
    "id",
    "source",
    "group",
    "confidence",
    "notes",
    "contradiction",
    "instance_type",
    "limits",
    "env",
    "max_pods",
    "node",
    "steps",
    "expect",
)

NODE_KEYS = (
    "nitro",
    "trunk_compatible",
    "unmanaged_enis",
    "metadata_lag_s",
    "enis_per_card",
    "eni_tags",
    "untagged_enis",
)


def parse_scenarios(text: str) -> list[Scenario]:
    """Parse the text of a scenario file. Raises `InputError`."""
    return scenarios_of(load_documents(text, each_key_once=True))


def scenarios_of(documents: list[Any]) -> list[Scenario]:
    """Check a file's documents, each a scenario or a list of them. Raises `InputError`."""
    raws = [raw for document in documents for raw in _listed(document)]
    if not raws:
        raise InputError("no scenario in it")
    return [scenario_of(raw) for raw in raws]


def _listed(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]


def scenario_of(raw: Any) -> Scenario:
    """Check one scenario as loaded from a file and return its value. Raises `InputError`."""
    if not isinstance(raw, dict):
        raise InputError(f"a scenario is a mapping, not {shown(raw)}")
    scenario_id = str(raw.get("id", "scenario"))
    try:
        scenario = _scenario(raw, scenario_id)
        check_bounds(scenario)
    except InputError as error:
        raise InputError(f"{scenario_id}: {error}") from error
    return scenario


def _scenario(raw: dict[str, Any], scenario_id: str) -> Scenario:
    known_keys(raw, SCENARIO_KEYS, "scenario")
    instance_type = raw.get("instance_type")
    if not isinstance(instance_type, str) or not instance_type:
        raise InputError(f"instance_type is a name such as m5.large, not {shown(instance_type)}")
    max_enis, ipv4_per_eni = _limits(raw.get("limits"), instance_type)
    node = mapping(raw.get("node", {}), "node")
    known_keys(node, NODE_KEYS, "node")
    steps = raw.get("steps")
    if not isinstance(steps, list) or not steps:
        raise InputError(f"steps is a list with at least one step, not {shown(steps)}")
    nitro = boolean(node.get("nitro", True), "node.nitro")
    return Scenario(
        scenario_id=scenario_id,
        instance_type=instance_type,
        max_enis=max_enis,
        ipv4_per_eni=ipv4_per_eni,
        env=variables(raw.get("env", {}), "env"),
        max_pods=integer(
            raw.get("max_pods", max_enis * (ipv4_per_eni - 1) + 2), "max_pods", at_least=1
        ),
        steps=tuple(_step(step, number) for number, step in enumerate(steps, 1)),
        expect=_expectations(raw.get("expect", {}), "expect"),
        nitro=nitro,
        trunking=_trunking(node.get("trunk_compatible"), nitro=nitro, instance_type=instance_type),
        unmanaged_enis=integer(node.get("unmanaged_enis", 0), "node.unmanaged_enis"),
        metadata_lag_s=integer(node.get("metadata_lag_s", 0), "node.metadata_lag_s"),
        enis_per_card=tuple(integers(node.get("enis_per_card", []), "node.enis_per_card")),
        eni_tags={
            name: texts(tags, f"node.eni_tags.{name}")
            for name, tags in mapping(node.get("eni_tags", {}), "node.eni_tags").items()
        },
        untagged_enis=frozenset(
            non_empty(name, "node.untagged_enis")
            for name in sequence(node.get("untagged_enis", []), "node.untagged_enis")
        ),
        source=str(raw.get("source", "")),
        notes=str(raw.get("notes", "")),
    )


def _trunking(compatible: Any, *, nitro: bool, instance_type: str) -> bool:
    """Return whether a type can carry a trunk ENI; True for a type that the agent does not know."""
    if compatible is not None:
        return boolean(compatible, "node.trunk_compatible")
    if not nitro:
        return False
    try:
        return instances.limits(instance_type).trunking
    except UnknownInstanceTypeError:
        return True


def _limits(raw: Any, instance_type: str) -> tuple[int, int]:
    """Return (max_enis, ipv4_per_eni): as written, else from the instance table."""
    if raw is None:
        try:
            known = instances.limits(instance_type)
        except UnknownInstanceTypeError as error:
            raise InputError(f"{error}; or give limits {{max_enis, ipv4_per_eni}}") from error
        return known.max_enis, known.ipv4_per_eni
    limits = mapping(raw, "limits")
    known_keys(limits, ("max_enis", "ipv4_per_eni"), "limits")
    return (
        integer(limits.get("max_enis"), "limits.max_enis", at_least=1, at_most=64),
        integer(limits.get("ipv4_per_eni"), "limits.ipv4_per_eni", at_least=2, at_most=64),
    )


# --- steps --------------------------------------------------------------------------


def _step(raw: Any, number: int) -> ScenarioStep:
    where = f"step {number}"
    step = mapping(raw, where)
    op = step.get("op")
    if not isinstance(op, str) or op not in _STEPS:
        raise InputError(f"{where}: unknown op {shown(op)}; known: {', '.join(_STEPS)}")
    where = f"{where} ({op})"
    checks = _STEPS[op]
    arguments = {key: value for key, value in step.items() if key not in ("op", "label")}
    if op == "expect":
        return ScenarioStep(
            op=op, arguments=_expectations(arguments, where), label=str(step.get("label", ""))
        )
    known_keys(arguments, tuple(checks), where)
    checked = {key: checks[key](value, f"{where}: {key}") for key, value in arguments.items()}
    for key in _REQUIRED.get(op, ()):
        if key not in checked:
            raise InputError(f"{where}: {key} is missing")
    if op == "del_pods" and ("n" in checked) == ("which" in checked):
        raise InputError(f"{where}: give either n or which")
    return ScenarioStep(op=op, arguments=checked, label=str(step.get("label", "")))


def _expectations(raw: Any, where: str) -> dict[str, Any]:
    expected = mapping(raw, where)
    known_keys(expected, tuple(sorted(EXPECT_KEYS)), where)
    for key, value in expected.items():
        if key != "docs":
            _expected_value(value, f"{where}: {key}")
    if "ec2" in expected:
        known_keys(mapping(expected["ec2"], f"{where}: ec2"), EC2_APIS, f"{where}: ec2")
    return expected


def _expected_value(value: Any, where: str) -> None:
    """Refuse a range that is neither {min, max} nor {one_of}."""
    if isinstance(value, dict) and (set(value) & {"min", "max", "one_of"}):
        if set(value) == {"one_of"} and isinstance(value["one_of"], list) and value["one_of"]:
            for choice in value["one_of"]:
                _expected_value(choice, where)
            return
        if set(value) <= {"min", "max"} and all(
            isinstance(v, (int, float)) for v in value.values()
        ):
            return
        raise InputError(
            f"{where}: a range is {{min, max}} or {{one_of: [...]}}, not {shown(value)}"
        )
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _expected_value(part, where)


# --- values ---------------------------------------------------------------------------


def _tag(value: Any, where: str) -> str | None:
    return None if value is None else non_empty(value, where)


def _enis(value: Any, where: str) -> list[dict[str, Any]]:
    for raw in sequence(value, where):
        eni = mapping(raw, where)
        known_keys(eni, ("role", "name", "ips", "prefixes", "excluded"), where)
        one_of("primary", "secondary", "trunk", "efa")(eni.get("role", "secondary"), where)
        total, used = [*integers(eni.get("ips", [0, 0]), f"{where}.ips"), 0, 0][:2]
        if used > total:
            raise InputError(f"{where}.ips: {used} used of {total}")
        if any(used > 16 for used in integers(eni.get("prefixes", []), f"{where}.prefixes")):
            raise InputError(f"{where}.prefixes: at most 16 used of a prefix")
    return list(value)


def _entries(value: Any, where: str) -> list[dict[str, str]]:
    for raw in sequence(value, where):
        known_keys(mapping(raw, where), ("pod", "ip"), where)
        for key in ("pod", "ip"):
            non_empty(raw.get(key), f"{where}.{key}")
    return list(value)


def _leaked(value: Any, where: str) -> list[dict[str, Any]]:
    for raw in sequence(value, where):
        known_keys(mapping(raw, where), ("name", "status", "description", "tags"), where)
    return list(value)


_STEPS: dict[str, dict[str, Callable[[Any, str], Any]]] = {
    "boot": {},
    "restart": {"env": variable_changes},
    "settle": {"never": boolean},
    "run": {"seconds": positive},
    "add_pods": {"n": positive, "each_settled": boolean, "all_cards": boolean},
    "del_pods": {"n": positive, "order": one_of("oldest", "newest"), "which": integers},
    "subnet": {
        "id": non_empty,
        "free_ips": integer,
        "free_prefixes": integer,
        "tag": _tag,
        "tags": texts,
    },
    "ec2_fail": {
        "api": one_of(*EC2_APIS),
        "code": non_empty,
        "message": non_empty,
        "times": positive,
    },
    "ec2_heal": {},
    "cordon": {},
    "uncordon": {},
    "preattach": {"ips_per_eni": integers},
    "imds_hide": {"eni": non_empty},
    "attach_eni": {
        "name": non_empty,
        "role": one_of("secondary", "trunk", "efa"),
        "ips": integer,
        "old": boolean,
    },
    "detach_eni": {"with_pods": boolean},
    "checkpoint": {"entries": _entries},
    "outside_attach": {
        "name": non_empty,
        "role": one_of("secondary", "trunk", "efa", "efa-only"),
        "ips": integer,
        "prefixes": integer,
        "card": integer,
    },
    "outside_detach": {"name": non_empty},
    "outside_give": {"name": non_empty, "ips": integer, "prefixes": integer},
    "outside_take": {"name": non_empty, "ips": integer, "prefixes": integer},
    "state": {"enis": _enis, "env": variables, "max_pods": positive},
    "free_eni": {"warm_ip": integer, "min_ip": integer},
    "cleanup_leaked": {"enis": _leaked, "now": non_empty, "cluster": non_empty},
    "mark": {},
    "expect": {},
}
"""Every step with its arguments and what checks them."""

_REQUIRED: dict[str, tuple[str, ...]] = {
    "run": ("seconds",),
    "add_pods": ("n",),
    "ec2_fail": ("api", "code"),
    "preattach": ("ips_per_eni",),
    "attach_eni": ("name",),
    "checkpoint": ("entries",),
    "outside_attach": ("name",),
    "outside_detach": ("name",),
    "outside_give": ("name",),
    "outside_take": ("name",),
    "state": ("enis",),
    "free_eni": ("warm_ip", "min_ip"),
    "cleanup_leaked": ("enis", "now"),
}
