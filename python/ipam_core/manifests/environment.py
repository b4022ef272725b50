"""The variables of the agent's container, and how they are found in parsed documents."""

from __future__ import annotations

import re
import reprlib
from typing import Any, NamedTuple, TypeVar

from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.variables import ADDRESS_VARIABLES, quoted_value

CONTAINER = "aws-node"

# What the chart's own `env`, and every published manifest, holds of the agent's settings:
# charts/aws-vpc-cni/values.yaml of aws/amazon-vpc-cni-k8s, as of chart 1.15.1.
CHART_ENV = {
    "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "false",
    "DISABLE_NETWORK_RESOURCE_PROVISIONING": "false",
    "ENABLE_IPv4": "true",
    "ENABLE_IPv6": "false",
    "ENABLE_POD_ENI": "false",
    "ENABLE_PREFIX_DELEGATION": "false",
    "WARM_ENI_TARGET": "1",
    "WARM_PREFIX_TARGET": "1",
}

_KINDS: dict[type, str] = {dict: "a mapping", list: "a list", str: "a string (quote it)"}
_Kind = TypeVar("_Kind", dict[str, Any], list[Any], str)
_VERSION = re.compile(r"v?([0-9]+\.[0-9]+\.[0-9]+)")


class Environment(NamedTuple):
    """Variables of the agent's container, and their sources.

    `unknown`: those kept elsewhere, and where. `form` names the kind of file, `given` the
    variables that the file itself sets (the rest are the chart's or a base's), `version` the
    agent's as v1.20.1, "" if the file has none; `notes` are for people.
    """

    variables: dict[str, str]
    unknown: dict[str, str]
    form: str = ""
    given: frozenset[str] = frozenset()
    version: str = ""
    notes: tuple[str, ...] = ()

    @property
    def n_settings(self) -> int:
        """Variables of the file that decide about addresses, with known or unknown value."""
        return len((self.given | self.unknown.keys()) & ADDRESS_VARIABLES)

    def over(self, beneath: dict[str, str], *notes: str) -> Environment:
        """Return this environment with other variables added; its own values stay."""
        kept = {k: v for k, v in beneath.items() if k not in self.unknown}
        return self._replace(variables=kept | self.variables, notes=(*self.notes, *notes))


def container_environment(container: dict[str, Any], form: str) -> Environment:
    """Return the variables of a container of a pod template; if a name is repeated, the last."""
    found = listed_environment(dig(container, list, "env"), form)
    if sources := dig(container, list, "envFrom"):
        found.unknown["envFrom"] = quoted(sources)
    image = container.get("image")
    return found._replace(version=version_in(image if isinstance(image, str) else ""))


def listed_environment(entries: list[Any], form: str) -> Environment:
    """Return the variables of a list of `{name, value}` or `{name, valueFrom}`."""
    variables: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise wrong(entry, dict, ("env",))
        name = dig(entry, str, "name")
        variables.pop(name, None)
        unknown.pop(name, None)
        if "valueFrom" not in entry:
            value = entry.get("value")
            if not isinstance(value, str | None):
                raise InputError(f"{name}: {quoted_value(name, value)} is not a string (quote it)")
            variables[name] = value or ""
        elif name in ADDRESS_VARIABLES:
            unknown[name] = quoted(entry["valueFrom"])
    return Environment(variables, unknown, form=form, given=frozenset(variables))


def version_in(text: str) -> str:
    """Return the agent's version in an image tag or an add-on's version, "" without one."""
    match = _VERSION.search(text.rpartition(":")[2])
    return f"v{match[1]}" if match else ""


def dig(value: Any, kind: type[_Kind], *path: str) -> _Kind:
    """Return the value at a path of keys, an empty `kind` if there is none.

    Raises:
        InputError: a value of another kind is there, or on the path.
    """
    for depth, key in enumerate(path):
        if value is None:
            break
        if not isinstance(value, dict):
            raise wrong(value, dict, path[:depth])
        value = value.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise wrong(value, kind, path)
    return value


def wrong(value: Any, kind: type, path: tuple[str, ...]) -> InputError:
    """Return the error of a value of another kind than a path should hold."""
    where = f"{'.'.join(path)}: " if path else ""
    return InputError(f"{where}{reprlib.repr(value)} is not {_KINDS[kind]}")


def looks_at(value: Any, *path: str) -> Any:
    """Return the value at a path of keys, None if there is none or the path is of another kind."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
