"""The fields of a part, as the browser sends them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def form_of(kind: type[T], given: object) -> T:
    """Return a dataclass of texts that holds what was given of its fields, "" for what was not.

    Names that are no field are left out. What is no mapping gives nothing.
    """
    found = given if isinstance(given, dict) else {}
    return kind(**{each.name: str(found.get(each.name, "")).strip() for each in fields(kind)})
