"""Where the agent's variables are set: DaemonSet manifests, Helm values, the EKS add-on.

Each reader returns an `Environment`; what its values mean is the business of `settings`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ipam_core.errors import InputError
from ipam_core.settings import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINER = "aws-node"
CHART = "aws-vpc-cni"
ADDON = "vpc-cni"

# What the chart's own `env` holds of the agent's settings: charts/aws-vpc-cni/values.yaml of
# aws/amazon-vpc-cni-k8s, as of chart 1.15.1. The EKS add-on has the same.
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

_KINDS = {dict: "a mapping", list: "a list", str: "a string"}
_Kind = TypeVar("_Kind", dict[str, Any], list[Any], str)


class Environment(NamedTuple):
    """Variables of the agent's container; `unknown`: those kept elsewhere, and where."""

    variables: dict[str, str]
    unknown: dict[str, str]


def read_daemonset(text: str) -> Environment:
    """Return the variables of the container aws-node of the one DaemonSet that has it.

    Raises:
        InputError: neither YAML nor JSON, not exactly one such DaemonSet, or not well formed.
    """
    found = [
        (daemonset, container)
        for document in _documents(text)
        for daemonset in _daemonsets(document)
        for container in _dig(daemonset, "spec.template.spec.containers", list)
        if _dig(container, "name", str) == CONTAINER
    ]
    if len(found) != 1:
        named = ", ".join(_dig(daemonset, "metadata.name", str) for daemonset, _ in found)
        raise InputError(
            f"{len(found)} DaemonSets with a container {CONTAINER!r}"
            f"{named and f' ({named})'}; needed is one, as "
            f"'kubectl -n kube-system get ds aws-node -o yaml' prints it"
        )
    return _container_environment(found[0][1])


def read_helm_values(text: str) -> Environment:
    """Return the variables that the chart sets with these values, its own `env` beneath.

    Values of a chart that has this one as a dependency hold them under its name.

    Raises:
        InputError: neither YAML nor JSON, or not values of the chart.
    """
    values = _configuration(text, "Helm values")
    env = _dig(values if "env" in values else _dig(values, CHART, dict), "env", dict)
    # A null takes a default away; a number or boolean is quoted by the chart's template.
    quoted = {name: _quoted(name, value) for name, value in env.items() if value is not None}
    kept = {name: value for name, value in CHART_ENV.items() if name not in env}
    return Environment(kept | quoted, {})


def read_addon(text: str) -> Environment:
    """Return the variables that the EKS add-on sets, the chart's own `env` beneath.

    Raises:
        InputError: neither YAML nor JSON, another add-on, or not its configuration.
    """
    values = _configuration(text, "an add-on's configuration")
    described = _dig(values, "addon", dict) or values
    name = _dig(described, "addonName", str)
    if name:
        if name != ADDON:
            raise InputError(f"add-on {name!r}: {ADDON!r} is needed")
        values = _configuration(
            _dig(described, "configurationValues", str), "an add-on's configuration"
        )
    env = _dig(values, "env", dict)
    return Environment(CHART_ENV | {each: _dig(env, each, str) for each in env}, {})


def _documents(text: str) -> list[Any]:
    """Return the documents of `text`: one of JSON, or any number of YAML.

    JSON goes first because YAML takes no tabs between its tokens.
    """
    import yaml  # noqa: PLC0415  (takes longer than the rest of the package)

    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        pass
    try:
        return list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"neither YAML nor JSON: {error}") from None


def _configuration(text: str, what: str) -> dict[str, Any]:
    """Return the one mapping that `text` holds, {} where it is empty or null."""
    documents = [document for document in _documents(text) if document is not None]
    if not documents:
        return {}
    if len(documents) == 1 and isinstance(documents[0], str):  # JSON in a JSON string
        return _configuration(documents[0], what)
    if len(documents) > 1 or not isinstance(documents[0], dict) or "kind" in documents[0]:
        raise InputError(f"not {what}: one mapping is needed, with 'env' in it")
    return documents[0]


def _daemonsets(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the DaemonSets in a document: itself, or those of a list, at any depth."""
    if isinstance(document, dict):
        kind = _dig(document, "kind", str)
        if kind == "DaemonSet":
            yield document
        elif kind.endswith("List"):
            for item in _dig(document, "items", list):
                yield from _daemonsets(item)


def _container_environment(container: dict[str, Any]) -> Environment:
    """Return the variables of a container of a pod template; of two of a name the last counts."""
    found = Environment({}, {})
    for source in _dig(container, "envFrom", list):
        found.unknown["envFrom"] = json.dumps(source, default=str)
    for entry in _dig(container, "env", list):
        name = _dig(entry, "name", str)
        found.variables.pop(name, None)
        found.unknown.pop(name, None)
        if "valueFrom" not in entry:
            found.variables[name] = _dig(entry, "value", str)
        elif name in VARIABLES:
            found.unknown[name] = json.dumps(entry["valueFrom"], default=str)
    return found


def _dig(value: Any, path: str, kind: type[_Kind]) -> _Kind:
    """Return what is under a path of keys, an empty `kind` where nothing is.

    Raises:
        InputError: something of another kind is there, or on the way.
    """
    met = ""
    for key in path.split("."):
        if value is None:
            break
        if not isinstance(value, dict):
            raise InputError(f"{met or 'the document'}: {value!r} is not a mapping")
        met, value = f"{met}.{key}".strip("."), value.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise InputError(f"{path}: {value!r} is not {_KINDS[kind]}")
    return value


def _quoted(name: str, value: object) -> str:
    """Return a value of the chart's `env` as its template writes it: `{{ $value | quote }}`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and value % 1 == 0:
        return str(int(value))
    if isinstance(value, str | float):
        return str(value)
    raise InputError(f"env.{name}: {value!r} is not a string, number or boolean")
