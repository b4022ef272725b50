"""Field and label selectors, as the API server reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "metadata.name",
        "metadata.namespace",
        "spec.nodeName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
    ),
    "nodes": ("metadata.name", "spec.unschedulable"),
    "events": (
        "metadata.name",
        "metadata.namespace",
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "type",
    ),
}
ANY_FIELDS = ("metadata.name", "metadata.namespace")
"""Fields that a selector may name, by resource; others allow these."""
BOOLEAN_FIELDS = frozenset({"spec.hostNetwork", "spec.unschedulable"})
"""These are "false" where an object leaves them out (pkg/registry/core of kubernetes/kubernetes:
NodeToSelectableFields in node/strategy.go, ToSelectableFields in pod/strategy.go)."""
_TERM = re.compile(r"(?P<key>[^=!]+?)\s*(?P<how>==|=|!=)\s*(?P<value>.*)")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<how>in|notin)\s+\((?P<values>[^)]*)\)")


def matcher(
    resource: str, fields: str, labels: str
) -> Callable[[Mapping[str, str], Mapping[str, str]], bool]:
    """Return whether an object's fields and labels are selected, as a function.

    Raises `InputError`: a selector that is none, or a field that cannot be selected by.
    """
    field_terms = [_field_term(resource, each) for each in fields.split(",") if each]
    label_terms = [_label_term(each) for each in re.split(r",(?![^(]*\))", labels) if each]

    def selected(of_fields: Mapping[str, str], of_labels: Mapping[str, str]) -> bool:
        return all(
            (of_fields.get(key, "") == value) == equal for key, equal, value in field_terms
        ) and all(term(of_labels) for term in label_terms)

    return selected


def _field_term(resource: str, text: str) -> tuple[str, bool, str]:
    term = _TERM.fullmatch(text.strip())
    if term is None:
        raise InputError(f"invalid selector: {text!r}; can't understand {text!r}")
    if term["key"] not in FIELDS.get(resource, ANY_FIELDS):
        raise InputError(f"field label not supported: {term['key']}")
    return term["key"], term["how"] != "!=", term["value"]


def _label_term(text: str) -> Callable[[Mapping[str, str]], bool]:
    text = text.strip()
    if among := _SET.fullmatch(text):
        values = {each.strip() for each in among["values"].split(",")}
        key, wanted = among["key"], among["how"] == "in"
        return lambda labels: (labels.get(key) in values) == wanted
    if term := _TERM.fullmatch(text):
        key, value, equal = term["key"], term["value"], term["how"] != "!="
        return lambda labels: (labels.get(key) == value) == equal
    if text.startswith("!"):
        return lambda labels: text[1:] not in labels
    return lambda labels: text in labels
