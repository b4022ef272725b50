"""Where the agent's variables are set: DaemonSet manifests, Helm values, the EKS add-on.

Each reader returns an `Environment`; what its values mean is the business of `settings`.
"""

from __future__ import annotations

import reprlib
from typing import Any, NamedTuple, TypeVar

from ipam_core.documents import load_documents
from ipam_core.errors import InputError
from ipam_core.variables import VARIABLES

CONTAINER = "aws-node"
CHART = "aws-vpc-cni"
ADDON = "vpc-cni"

# What the chart's own `env` holds of the agent's settings: charts/aws-vpc-cni/values.yaml of
# aws/amazon-vpc-cni-k8s, as of chart 1.15.1.
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


class Environment(NamedTuple):
    """Variables of the agent's container; `unknown`: those kept elsewhere, and where."""

    variables: dict[str, str]
    unknown: dict[str, str]


def read_daemonset(text: str) -> Environment:
    """Return the variables of the container aws-node of the one DaemonSet that has it.

    Raises:
        InputError: neither JSON nor YAML, not exactly one such DaemonSet, or not well formed.
    """
    found = [
        (_dig(daemonset, str, "metadata", "name"), container)
        for document in load_documents(text)
        for daemonset in _daemonsets(document)
        for container in _dig(daemonset, list, "spec", "template", "spec", "containers")
        if _dig(container, str, "name") == CONTAINER
    ]
    if len(found) != 1:
        names = ", ".join(name for name, _ in found)
        raise InputError(
            f"{len(found)} DaemonSets with a container {CONTAINER!r}{names and f' ({names})'}: "
            "one is needed, as 'kubectl -n kube-system get ds aws-node -o yaml' prints it"
        )
    return _container_environment(found[0][1])


def read_helm_values(text: str) -> Environment:
    """Return the variables that the chart sets with these values, its own `env` beneath.

    Values of a chart that depends on this one hold them under its name.

    Raises:
        InputError: neither JSON nor YAML, or not values of the chart.
    """
    values = _configuration(text, "Helm values")
    env = _dig(values, dict, *(("env",) if "env" in values else (CHART, "env")))
    kept = {name: value for name, value in CHART_ENV.items() if name not in env}
    # A null takes a default away; a number or boolean is quoted by the chart's template.
    given = {str(name): _quoted(name, value) for name, value in env.items() if value is not None}
    return Environment(kept | given, {})


def read_addon(text: str) -> Environment:
    """Return the variables that the EKS add-on sets, the chart's own `env` beneath.

    The add-on's schema allows strings only (aws/amazon-vpc-cni-k8s#3059 shows it).

    Raises:
        InputError: neither JSON nor YAML, another add-on, or not its configuration.
    """
    values = _configuration(text, "an add-on's configuration")
    if "addon" in values or "addonName" in values:  # with --query addon there is no outer key
        addon = _dig(values, dict, "addon") or values
        name = _dig(addon, str, "addonName")
        if name != ADDON:
            raise InputError(f"add-on {name!r}: {ADDON!r} is needed")
        inner = _dig(addon, str, "configurationValues")
        values = _configuration(inner, "an add-on's configuration")
    env = {str(key): value for key, value in _dig(values, dict, "env").items()}
    return Environment(CHART_ENV | {key: _dig(env, str, key) for key in env}, {})


def _configuration(text: str, what: str) -> dict[str, Any]:
    """Return the one mapping that `text` holds, {} where it is empty or null."""
    match load_documents(text):
        case []:
            return {}
        case [dict() as values] if "kind" not in values:  # what has one is a Kubernetes object
            return values
        case [str() as inner] if inner != text:  # as 'aws ... --query addon.configurationValues'
            return _configuration(inner, what)
    raise InputError(f"not {what}: one mapping is needed, with 'env' in it")


def _daemonsets(document: Any) -> list[dict[str, Any]]:
    """Return the DaemonSets of a document: itself, or those in it where it is a list."""
    if not isinstance(document, dict):
        return []
    is_list = _dig(document, str, "kind").endswith("List")
    objects = _dig(document, list, "items") if is_list else [document]
    return [each for each in objects if _dig(each, str, "kind") == "DaemonSet"]


def _container_environment(container: dict[str, Any]) -> Environment:
    """Return the variables of a container of a pod template; of two of a name the last counts."""
    found = Environment({}, {})
    if sources := _dig(container, list, "envFrom"):
        found.unknown["envFrom"] = str(sources)
    for entry in _dig(container, list, "env"):
        name = _dig(entry, str, "name")
        found.variables.pop(name, None)
        found.unknown.pop(name, None)
        if "valueFrom" not in entry:
            found.variables[name] = _dig({name: entry.get("value")}, str, name)
        elif name in VARIABLES:
            found.unknown[name] = str(entry["valueFrom"])
    return found


def _dig(value: Any, kind: type[_Kind], *path: str) -> _Kind:
    """Return what is under a path of keys, an empty `kind` where nothing is.

    Raises:
        InputError: something of another kind is there, or on the way.
    """
    for depth, key in enumerate(path):
        if value is None:
            break
        if not isinstance(value, dict):
            raise _wrong(value, dict, path[:depth])
        value = value.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise _wrong(value, kind, path)
    return value


def _wrong(value: Any, kind: type, path: tuple[str, ...]) -> InputError:
    where = f"{'.'.join(path)}: " if path else ""
    return InputError(f"{where}{reprlib.repr(value)} is not {_KINDS[kind]}")


def _quoted(name: object, value: object) -> str:
    """Return a value of the chart's `env` as its template writes it: `{{ $value | quote }}`."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool | int | float):
        return str(value).lower()
    raise InputError(f"env.{name}: {reprlib.repr(value)} is not a string, number or boolean")
