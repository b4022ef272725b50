"""A pool as rows: an ENI of /v1/enis a row, a mark for each slot."""

from __future__ import annotations

from typing import Any


def pool_rows(card: dict[str, Any], n_slots: int) -> list[str]:
    """Return a row for each ENI of a network card, as /v1/enis has it, by device number."""
    enis = sorted(card["ENIs"].values(), key=lambda each: each["DeviceNumber"])
    return [_row(eni, n_slots) for eni in enis]


def _row(eni: dict[str, Any], n_slots: int) -> str:
    """Return an ENI of /v1/enis as a line: its name, counts, and a mark for each slot."""
    addresses = eni["AvailableIPv4Cidrs"].values()
    n_assigned = sum(
        bool(each["IPAMMetadata"]) for cidr in addresses for each in cidr["IPAddresses"].values()
    )
    n_free = len(addresses) - n_assigned
    marks = "#" * n_assigned + "o" * n_free + "." * (n_slots - len(addresses))
    return f"  device {eni['DeviceNumber']}  {marks}  {n_assigned} assigned, {n_free} free"
