"""A store's layout as text: its mode, its ENIs, and what each of them holds."""

from __future__ import annotations

import json
from typing import Any

from ipam_core._store import DataStore

_ENI_FIELDS = (
    "eni_id", "device_number", "network_card", "primary", "trunk", "efa", "excluded",
    "subnet_id", "route_table",
)  # fmt: skip


def layout_of(store: DataStore, *, epoch_ns: int) -> str:
    """Return a store's layout as JSON; its clock was 0 at the wall-clock time `epoch_ns`."""
    body = {
        "mode": store.mode,
        "cooldown_ns": store.cooldown_ns,
        "placement": store.placement,
        "given_time": store.given_time,
        "enis": [
            {
                **{name: getattr(eni, name) for name in _ENI_FIELDS},
                "created_ns": eni.created_ns + epoch_ns,
                "addresses": store.addresses(eni.eni_id),
                "prefixes": store.prefixes(eni.eni_id),
            }
            for eni in store.enis()
        ],
    }
    return json.dumps(body, separators=(",", ":"))


def store_of(layout: str, *, wall_ns: int, now_ns: int) -> DataStore:
    """Return a store of this layout, nothing assigned; its clock is at `now_ns` at `wall_ns`.

    If the wall clock was set back, an ENI that was added later than that counts as added now.
    """
    body = json.loads(layout)
    store = DataStore(
        body["mode"],
        cooldown_s=body["cooldown_ns"] / 1e9,
        placement=body["placement"],
        given_time=body.get("given_time", True),  # stores written before this was saved accept any
    )
    for eni in body["enis"]:
        fields: dict[str, Any] = {name: eni[name] for name in _ENI_FIELDS}
        store.add_eni(**fields, created_ns=now_ns - max(wall_ns - eni["created_ns"], 0))
        for address in eni["addresses"]:
            store.add_address(eni["eni_id"], address)
        for prefix in eni["prefixes"]:
            store.add_prefix(eni["eni_id"], prefix)
    return store
