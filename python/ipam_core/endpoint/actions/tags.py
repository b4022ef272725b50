"""CreateTags, DeleteTags and DescribeTags."""

from __future__ import annotations

from dataclasses import field
from heapq import merge
from itertools import repeat
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.cloud import refusals
from ipam_core.endpoint import arguments
from ipam_core.endpoint.filters import exact_values, test_of
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
    meets = test_of(filters, FILTERS)
    rows, more = page(
        account.secret,
        "DescribeTags",
        params,
        lambda after: filter(meets, _rows_after(account, filters, after)),
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


def _rows_after(account: Account, filters: list[dict[str, Any]], after: int) -> Iterator[_TagRow]:
    """Yield the tags after a number, in order: of the resources that a filter names, else of all.

    Cost: that of the tags that are taken.
    """
    last, _ = divmod(after, _PER_RESOURCE)  # of it there may be more
    resources = merge(
        *_resources_after(account, filters, last - 1), key=lambda each: each[1].number
    )
    for name, row in resources:
        for position, (key, value) in enumerate(row.tags.items()):
            number = row.number * _PER_RESOURCE + position
            if number > after:
                yield _TagRow(number, row.key, KINDS[name].name, key, value)


def _resources_after(
    account: Account, filters: list[dict[str, Any]], number: int
) -> list[Iterable[tuple[str, Any]]]:
    """Return resources after a number, each with its table's name: of each kind, in order."""
    ids, keys = exact_values(filters, "resource-id"), exact_values(filters, "key")
    if ids is not None:
        found = filter(None, map(account.find, ids))
        return [sorted(found, key=lambda each: each[1].number)]
    tables = {name: getattr(account, name) for name in KINDS}
    return [
        zip(
            repeat(name),
            table.rows_after(
                number, None if keys is None else [table.numbers_of("tag-key", key) for key in keys]
            ),
            strict=False,
        )
        for name, table in tables.items()
    ]


FILTERS: dict[str, Callable[[_TagRow], Iterable[str]]] = {
    "key": lambda row: (row.name,),
    "resource-id": lambda row: (row.resource_id,),
    "resource-type": lambda row: (row.kind,),
    "value": lambda row: (row.value,),
}
"""Source: Filter.N of DescribeTags in the EC2 API reference."""
