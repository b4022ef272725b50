"""Client tokens: the same request again is the same request, and changes nothing.

Source: "Ensuring idempotency in Amazon EC2 API requests". A token is remembered as long as
what it made is there.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any, NamedTuple

from ipam_core.cloud import refusals

_TOKEN = re.compile(r"[\x21-\x7e]{1,64}")


class Remembered(NamedTuple):
    """A request that was made with a token, and the id of what it made."""

    digest: str
    made: str


class ClientTokens:
    """The requests that were made with a token, by action and token."""

    def __init__(self) -> None:
        self.remembered: dict[tuple[str, str], Remembered] = {}

    def made_before(self, action: str, params: dict[str, Any]) -> str | None:
        """Return the id of what this very request made before, None where it is new.

        Raises `Ec2Error`: the token was used with other parameters, or is none.
        """
        token = params.get("ClientToken", "")
        if not token:
            return None
        if not _TOKEN.fullmatch(token):
            allowed = "At most 64 ASCII characters are allowed."
            raise refusals.INVALID_VALUE(token[:200], "clientToken", allowed)
        before = self.remembered.get((action, token))
        if before is None:
            return None
        if before.digest != _digest(params):
            raise refusals.TOKEN_REUSED()
        return before.made

    def remember(self, action: str, params: dict[str, Any], made: str) -> None:
        """Keep what a request made, if it has a token."""
        if token := params.get("ClientToken"):
            self.remembered[action, token] = Remembered(_digest(params), made)

    def forget(self, action: str, token: str) -> None:
        """Forget a token: what it made is gone."""
        self.remembered.pop((action, token), None)


def _digest(params: dict[str, Any]) -> str:
    text = json.dumps(params, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()
