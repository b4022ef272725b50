"""CIDR reservations of subnets: ranges kept for /28s, or for addresses by name."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint import described
from ipam_core.endpoint.arguments import check_specifications, subnet_of, tags_for
from ipam_core.endpoint.filters import literal, select
from ipam_core.endpoint.pages import page
from ipam_core.endpoint.resources import KINDS
from ipam_core.errors import ReservationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import CidrReservation

_KINDS = ("prefix", "explicit")


def create_subnet_cidr_reservation(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Reserve a range of a subnet; what is held in it stays held."""
    subnet = subnet_of(account, params["SubnetId"])
    kind, text = params["ReservationType"], params["Cidr"]
    if kind not in _KINDS:
        allowed = f"Allowed values are: {', '.join(_KINDS)}."
        raise refusals.INVALID_VALUE(kind[:200], "ReservationType", allowed)
    try:
        cidr = str(IPv4Network(text, strict=False))
    except ValueError:
        raise refusals.BAD_CIDR(text[:200]) from None
    check_specifications(params, KINDS["reservations"].name)
    tags = tags_for(params, KINDS["reservations"].name)
    try:
        subnet.subnet.add_reservation(cidr, kind)
    except ReservationError as error:
        raise refusals.INVALID_VALUE(cidr, "cidr", f"{error}.") from None
    made = account.note_reservation(
        subnet, cidr, kind, description=params.get("Description", ""), tags=tags
    )
    return {"SubnetCidrReservation": described.reservation(account, made)}


def get_subnet_cidr_reservations(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List the reservations of a subnet; they are all of IPv4."""
    subnet = subnet_of(account, params["SubnetId"])
    filters = [
        {"Name": "subnet-id", "Values": [literal(subnet.subnet_id)]},
        *params.get("Filters", []),
    ]
    rows, more = page(
        account.secret,
        "GetSubnetCidrReservations",
        params,
        lambda after: select(account.reservations, filters, FILTERS, after=after),
    )
    return {
        "SubnetIpv4CidrReservations": [described.reservation(account, row) for row in rows],
        "SubnetIpv6CidrReservations": [],
    } | more


def delete_subnet_cidr_reservation(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """End a reservation: what nobody holds of it can be given again."""
    reservation_id = params["SubnetCidrReservationId"]
    row = account.reservations.by_key.get(reservation_id)
    if row is None:
        raise refusals.RESERVATION_NOT_FOUND(reservation_id[:200])
    account.subnets.by_key[row.subnet_id].subnet.remove_reservation(row.cidr)
    account.reservations.remove(row)
    return {"DeletedSubnetCidrReservation": described.reservation(account, row)}


FILTERS: dict[str, Callable[[CidrReservation], Iterable[str]]] = {
    "reservationType": lambda row: (row.kind,),
    "reservation-type": lambda row: (row.kind,),
    "subnet-id": lambda row: (row.subnet_id,),
}
"""Source: Filter.N of GetSubnetCidrReservations in the EC2 API reference."""
