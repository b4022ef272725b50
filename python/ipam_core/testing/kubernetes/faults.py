"""Requests that fail, on purpose; and what roles allow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipam_core.testing.kubernetes.routes import Route

DROPPED = 0
"""The status of a fault that closes the connection without an answer."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to requests whose `GET /path?query` a pattern is found in.

    The first `after` of them are well; then `times` fail (None: all). `status` DROPPED closes
    the connection. `late_s` is waited first; with `status` None the answer is then the usual.
    """

    pattern: str
    status: int | None = DROPPED
    reason: str = ""
    message: str = "said the test"
    after: int = 0
    times: int | None = None
    late_s: float = 0.0
    retry_after_s: int | None = None

    def meets(self, request: str) -> bool:
        """Return whether it happens to a request, and count it."""
        if not re.search(self.pattern, request):
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one rule of a role allows. `namespace` "" is all of them, of a ClusterRole."""

    groups: frozenset[str]
    resources: frozenset[str]
    verbs: frozenset[str]
    names: frozenset[str]
    namespace: str = ""

    def allows(self, route: Route) -> bool:
        """Return whether a request is allowed, as Kubernetes' RBAC decides it."""
        return (
            self.namespace in ("", route.namespace)
            and not self.groups.isdisjoint({"*", route.group})
            and not self.resources.isdisjoint({"*", route.what})
            and not self.verbs.isdisjoint({"*", route.verb})
            and (not self.names or route.name in self.names)
        )


def rules_of(roles: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules of ClusterRoles and Roles; other documents are passed over.

    Raises `InputError`: there is none.
    """
    found = tuple(
        Rule(
            groups=frozenset(rule.get("apiGroups", ())),
            resources=frozenset(rule.get("resources", ())),
            verbs=frozenset(rule["verbs"]),
            names=frozenset(rule.get("resourceNames", ())),
            namespace=role["metadata"].get("namespace", "") if role["kind"] == "Role" else "",
        )
        for role in roles
        if role.get("kind") in ("Role", "ClusterRole")
        for rule in role["rules"]
    )
    if not found:
        raise InputError("no rule of a Role or ClusterRole")
    return found
