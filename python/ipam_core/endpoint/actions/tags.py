"""CreateTags, DeleteTags and DescribeTags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint import arguments
from ipam_core.endpoint.filters import meets_all
from ipam_core.endpoint.pages import page
from ipam_core.endpoint.resources import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ipam_core.endpoint.account import Account

MOST_RESOURCES = 1000
"""Resources of one call. Source: CreateTags in the EC2 API reference."""
_MISSING: dict[str, Callable[[Account, str], object]] = {
    "eni-": arguments.eni_of,
    "i-": arguments.instance_of,
    "subnet-": arguments.subnet_of,
    "vpc-": arguments.vpc_of,
    "sg-": arguments.group_of,
}
"""What says that a resource is not there, by the start of its id."""


def create_tags(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Put tags on resources; a key that is there gets the new value."""
    found = _resources(account, params["Resources"])
    tags = dict(map(arguments.checked_tag, params["Tags"]))
    if not tags:
        raise refusals.MISSING_PARAMETER("tagSet")
    for _, row in found:
        arguments.check_tag_count(len(row.tags.keys() | tags.keys()))
    for name, row in found:
        row.tags |= tags
        getattr(account, name).changed(row)
    return {}


def delete_tags(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Take tags off resources: of a key, of a key and value, or all."""
    found = _resources(account, params["Resources"])
    wanted = params.get("Tags")
    for name, row in found:
        if wanted is None:
            row.tags.clear()
        for tag in wanted or ():
            key = tag.get("Key", "")
            if key in row.tags and tag.get("Value", row.tags[key]) == row.tags[key]:
                del row.tags[key]
        getattr(account, name).changed(row)
    return {}


def _resources(account: Account, resource_ids: list[str]) -> list[tuple[str, Any]]:
    if not resource_ids:
        raise refusals.MISSING_PARAMETER("resourceIdSet")
    if len(resource_ids) > MOST_RESOURCES:
        raise refusals.INVALID_VALUE(
            len(resource_ids), "resourceIdSet", f"At most {MOST_RESOURCES} resources."
        )
    found = []
    for resource_id in dict.fromkeys(resource_ids):
        resource = account.find(resource_id)
        if resource is None:
            for prefix, look_up in _MISSING.items():
                if resource_id.startswith(prefix):
                    look_up(account, resource_id)
            raise refusals.RESOURCE_ID_INVALID(resource_id[:200])
        found.append(resource)
    return found


# --- DescribeTags -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _TagRow:
    """A tag of a resource. `number` orders by resource, then by tag."""

    number: int
    resource_id: str
    kind: str
    name: str
    value: str
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What identifies it."""
        return f"{self.resource_id}/{self.name}"


_PER_RESOURCE = 64
assert _PER_RESOURCE > arguments.MOST_TAGS


def describe_tags(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List tags of all kinds of resources, by filters."""
    filters = params.get("Filters", [])
    meets_all(_TagRow(0, "", "", "", ""), filters, FILTERS)  # checked, were there no tag at all
    rows, more = page(
        account.secret,
        "DescribeTags",
        params,
        lambda after: (
            row
            for row in _rows(account, filters)
            if row.number > after and meets_all(row, filters, FILTERS)
        ),
    )
    return {
        "Tags": [
            {
                "Key": row.name,
                "ResourceId": row.resource_id,
                "ResourceType": row.kind,
                "Value": row.value,
            }
            for row in rows
        ]
    } | more


def _rows(account: Account, filters: list[dict[str, Any]]) -> Iterator[_TagRow]:
    """Yield the tags in order: of the resources that a filter names, else of all."""
    for number, name, resource in sorted(
        (row.number, name, row) for name, row in _candidates(account, filters)
    ):
        for position, (key, value) in enumerate(resource.tags.items()):
            place = number * _PER_RESOURCE + position
            yield _TagRow(place, resource.key, KINDS[name].name, key, value)


def _candidates(account: Account, filters: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for each in filters:
        exact = not any(mark in value for value in each["Values"] for mark in "*?\\")
        if each["Name"] == "resource-id" and exact:
            yield from filter(None, map(account.find, dict.fromkeys(each["Values"])))
            return
        if each["Name"] == "key" and exact:
            for name in KINDS:
                found = {
                    row.number: row
                    for value in each["Values"]
                    for row in getattr(account, name).all_of("tag-key", value)
                }
                yield from ((name, row) for row in found.values())
            return
    for name in KINDS:
        yield from ((name, row) for row in getattr(account, name))


FILTERS: dict[str, Callable[[_TagRow], Iterable[str]]] = {
    "key": lambda row: (row.name,),
    "resource-id": lambda row: (row.resource_id,),
    "resource-type": lambda row: (row.kind,),
    "value": lambda row: (row.value,),
}
"""Source: Filter.N of DescribeTags in the EC2 API reference."""
