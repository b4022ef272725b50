"""MaxResults and NextToken.

A token holds the number of the last row that was given, and a keyed digest of it with the
request: so it is good for its own request only, cannot be made up, and needs no memory. Rows
that come or go between two pages move nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core.cloud import refusals
from ipam_core.endpoint.filters import select, test_of
from ipam_core.endpoint.tables import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ipam_core.endpoint.tables import Table

T = TypeVar("T", bound=Row)

_NUMBER_BYTES = 8
_DIGEST_BYTES = 16


def listed(
    secret: bytes,
    action: str,
    params: dict[str, Any],
    table: Table[T],
    known: Mapping[str, Callable[[T], Iterable[str]]],
    *,
    ids: tuple[str, str, Callable[[str], T]],
    paged_with_ids: bool = False,
    most: int = 1000,
) -> tuple[list[T], dict[str, str]]:
    """Return the rows of a table that a Describe call asks for, and its NextToken if any.

    `known` are its filters. `ids` are its parameter of ids, that parameter's name in EC2's
    texts, and what finds a row. Rows by id are also filtered. Cost: that of the rows returned.

    Raises:
        Ec2Error: an id that is not there, a bad filter, ids together with pages.
    """
    name, label, find = ids
    filters = params.get("Filters", [])
    if name not in params:
        return page(
            secret,
            action,
            params,
            lambda after: select(table, filters, known, after=after),
            most=most,
        )
    if "MaxResults" in params and not paged_with_ids:
        raise refusals.IDS_WITH_PAGES(label)
    meets = test_of(filters, known)
    found = sorted({row.number: row for row in map(find, params[name])}.items())
    chosen = [(number, row) for number, row in found if meets(row)]
    return page(
        secret,
        action,
        params,
        lambda after: (row for number, row in chosen if number > after),
        most=most,
    )


def page(
    secret: bytes,
    action: str,
    params: dict[str, Any],
    rows_after: Callable[[int], Iterator[T]],
    *,
    least: int = 5,
    most: int = 1000,
) -> tuple[list[T], dict[str, str]]:
    """Return the rows of the page that is asked for, and the reply's NextToken if more follow.

    `rows_after` gives the rows after a number. Without MaxResults all are returned, as EC2
    does. Cost: that of the page's rows and one more.

    Raises:
        Ec2Error: MaxResults out of `least` to `most`; a token that is not of this request.
    """
    size = params.get("MaxResults")
    if size is not None and not least <= size <= most:
        bound = f"greater than {least}" if size < least else f"less than {most}"
        raise refusals.INVALID_VALUE(f" {size} ", "maxResults", f"Expecting a value {bound}.")
    token = params.get("NextToken")
    after = 0 if token is None else _number_of(secret, _digest(secret, action, params), token)
    rows = list(islice(rows_after(after), None if size is None else size + 1))
    if size is None or len(rows) <= size:
        return rows, {}
    del rows[size:]
    return rows, {"NextToken": _token_of(secret, _digest(secret, action, params), rows[-1].number)}


def _digest(secret: bytes, action: str, params: dict[str, Any]) -> bytes:
    given = {key: each for key, each in params.items() if key not in ("MaxResults", "NextToken")}
    text = json.dumps([action, given], sort_keys=True, default=str)
    return blake2b(text.encode(), key=secret, digest_size=_DIGEST_BYTES).digest()


def _token_of(secret: bytes, request: bytes, number: int) -> str:
    data = number.to_bytes(_NUMBER_BYTES, "big")
    sealed = blake2b(request + data, key=secret, digest_size=_DIGEST_BYTES).digest()
    return base64.urlsafe_b64encode(data + sealed).decode()


def _number_of(secret: bytes, request: bytes, token: str) -> int:
    try:
        number = int.from_bytes(base64.urlsafe_b64decode(token)[:_NUMBER_BYTES], "big")
    except (binascii.Error, ValueError):
        raise refusals.INVALID_NEXT_TOKEN(token[:200]) from None
    if token != _token_of(secret, request, number):
        raise refusals.INVALID_NEXT_TOKEN(token[:200])
    return number
