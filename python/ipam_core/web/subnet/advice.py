"""The advice on a subnet as HTML, from its plain values. Every text is escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ipam_core.web.markup import copied, text
from ipam_core.web.subnet.shown import filled, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNTS = ("now", "after_deletion", "after_drains", "after_reservation", "after_both")


def advice(
    found: Mapping[str, Any],
    n_nodes: int,
    advised: tuple[int, int] | None,
    words: Mapping[str, str],
) -> str:
    """Return the advice. `advised` are the blocks of the reservation, for the map."""
    drains = found["drains"]
    marks = {"nodes": drains["nodes"] if drains else [], "reservation": advised}
    parts = [f'<div data-advice="{text(json.dumps(marks))}"><h2>{words["advice"]}</h2>']
    if found["withheld"]:
        parts.append(f"<p>{words['withheld']}: {text(found['withheld'])}</p>")
    if drains:
        parts.append(_drains(drains, n_nodes, words))
    if found["deletion"]:
        parts.append(_deletion(found["deletion"], words))
    if found["reservation"]:
        parts.append(_reservation(found["reservation"], words))
    if found["nodes_that_fit"]:
        parts.append(_fits(found, words))
    elif found["type_unknown"]:
        parts.append(f'<p class="hint">{text(found["type_unknown"])}</p>')
    return "".join([*parts, "</div>"])


def _drains(plan: Mapping[str, Any], n_nodes: int, words: Mapping[str, str]) -> str:
    pods = plan["pods"] if plan["pods_known"] else f"≤ {plan['pods']}"
    numbers = {"won": plan["won"], "nodes": len(plan["nodes"]), "all": n_nodes, "pods": pods}
    if plan["proven"]:
        sure = words["proven"]
    elif plan["method"] == "exact":
        sure = f"{words['not_proven']}: {text('; '.join(plan['doubts']))}"
    else:
        sure = filled(words, "at_least", n=plan["at_least"], method=plan["method"])
    return (
        f'<h3 data-plan="drains">{filled(words, "plan", **numbers)}</h3>'
        f'<p class="hint">{sure}{" " if sure.endswith(".") else ". "}'
        f"{filled(words, 'attainable', n=plan['attainable'])}</p>"
    )


def _deletion(plan: Mapping[str, Any], words: Mapping[str, str]) -> str:
    numbers = {"n": len(plan["enis"]), "addresses": plan["addresses"], "won": plan["won"]}
    heading = filled(words, "delete", **numbers)
    return copied("delete", heading, "\n".join(plan["commands"]), words)


def _reservation(plan: Mapping[str, Any], words: Mapping[str, str]) -> str:
    numbers = {
        "free": plan["whole_now"],
        "n": plan["n_blocks"],
        "held": plan["held"],
        "nodes": plan["held_by_nodes"],
        "withdrawn": plan["withdrawn"],
    }
    heading = filled(words, "reserve", cidr=plan["cidr"])
    return copied("reserve", heading, plan["command"], words) + (
        f'<p class="hint" data-plan="reservation">{filled(words, "reserve_is", **numbers)}</p>'
    )


def _fits(found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    fits = found["nodes_that_fit"]
    counts = [name for name in _COUNTS if any(fit[name] is not None for fit in fits)]
    names = ("maxPods", words["pods"], *(words[name] for name in counts))
    head = "".join(f'<th class="number">{name}</th>' for name in names)
    rows = [
        (fit["mode"], fit["max_pods"], fit["pods_per_node"],
         *("-" if fit[name] is None else fit[name] for name in counts))
        for fit in fits
    ]  # fmt: skip
    assumed = f'<p class="hint">{words["assumed"]}</p>' if found["type_assumed"] else ""
    notes = "".join(f'<p class="hint">{text(fit["note"])}</p>' for fit in fits if fit["note"])
    return (
        f"<h3 id='fits'>{filled(words, 'fits', type=found['instance_type'])}</h3>{assumed}"
        '<div class="wide" tabindex="0" role="region" aria-labelledby="fits">'
        f'<table data-table="fits"><thead><tr><th>{words["mode"]}</th>{head}'
        f"</tr></thead><tbody>{rows_of(rows)}</tbody></table></div>{notes}"
    )
