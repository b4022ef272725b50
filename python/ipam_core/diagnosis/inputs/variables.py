"""The agent's variables: from its endpoint, and from every form that `manifests` reads."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Evidence
from ipam_core.errors import InputError
from ipam_core.manifests import Environment, read_settings
from ipam_core.manifests.texts import read_describe, read_env_list
from ipam_core.variables import VARIABLES

if TYPE_CHECKING:
    from ipam_core.diagnosis.inputs.case import Case

_ENDPOINT = frozenset({"WARM_ENI_TARGET", "WARM_IP_TARGET", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"})
_ASSIGNMENT = re.compile(r"^\s*(?:export )?(?P<name>[A-Z][A-Za-z0-9_]+)=(?P<value>\S*)\s*$")
_KEPT = frozenset({*VARIABLES, "ENI_CONFIG_ANNOTATION_DEF", "ENI_CONFIG_LABEL_DEF"})
"""Variables that decide about the pool, and how a node's ENIConfig is found."""
_OWN_ROLE = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
_OBJECTS = {
    "DaemonSet": "manifest",
    "HelmRelease": "Helm values",
    "Application": "Helm values",
    "ClusterConfig": "add-on",
}
_ADDON_KEYS = frozenset({"addon", "addonName", "configurationValues"})
_DEEPEST = 8


def is_endpoint(document: Any) -> bool:
    """Return whether a document is /v1/ipamd-env-settings."""
    return isinstance(document, dict) and bool(_ENDPOINT & document.keys())


def read_endpoint(document: dict[str, Any], file: str, content: str, case: Case) -> None:
    """Add the variables that the agent runs with."""
    case.endpoint = {
        variable: Evidence(
            file=file,
            line=dig.line_of(content, f'"{variable}"'),
            value=str(value).lower() if isinstance(value, bool) else str(value),
        )
        for variable, value in document.items()
        if variable in VARIABLES
    }


def read_document(document: Any, file: str, content: str, case: Case) -> bool:
    """Add the variables of an object that sets them, or of a container's process.

    Raises:
        InputError: it is such an object, and not well formed.
    """
    holder = document if isinstance(document, dict) else {}
    kind = dig.text(holder.get("kind"))
    if kind in ("Pod", "ServiceAccount"):
        return _own_object(holder, kind, file, content, case)
    if kind in _OBJECTS:
        _keep(read_settings(json.dumps(document)), file, content, case)
        if any(own in str(holder.get("spec")) for own in _OWN_ROLE):
            _own_role(file, content, case)
        case.files.append((file, _OBJECTS[kind]))
        return True
    if _ADDON_KEYS & holder.keys():
        _keep(read_settings(json.dumps(document)), file, content, case)
        case.files.append((file, "add-on"))
        return True
    process = [each for each in _texts(document) if each.partition("=")[0] in VARIABLES]
    if process:  # `ctr container info`, `docker inspect`
        variables = dict(each.partition("=")[::2] for each in process)
        _keep(Environment(variables, {}), file, content, case)
        case.files.append((file, "variables"))
        return True
    return bool(holder) and not kind and _values(holder, file, content, case)


def read_text(content: str, file: str, case: Case) -> bool:
    """Add the variables of kubectl's text, or of `NAME=value` lines."""
    found = [each for _, each, _ in read_env_list(content) or read_describe(content)]
    if not found:
        matches = [_ASSIGNMENT.match(line) for line in content.splitlines()]
        variables = {m["name"]: m["value"] for m in matches if m and m["name"] in _KEPT}
        found = [Environment(variables, {})] if variables else []
    if any(name in content for name in _OWN_ROLE):
        _own_role(file, content, case)
    if not found:
        return False
    _keep(found[0], file, content, case)
    return True


def _values(document: dict[str, Any], file: str, content: str, case: Case) -> bool:
    """Add the variables of Helm values or an add-on's configuration, if it is that."""
    if not any(variable in content for variable in VARIABLES):
        return False
    try:
        environment = read_settings(json.dumps(document))
    except InputError:
        return False
    _keep(environment, file, content, case)
    case.files.append((file, "Helm values"))
    return True


def _own_object(document: dict[str, Any], kind: str, file: str, content: str, case: Case) -> bool:
    """Add the facts of aws-node's own pod or service account; others are no input."""
    metadata = dig.mapping(document.get("metadata"), f"{file}: metadata")
    name = dig.text(metadata.get("name"))
    if kind == "ServiceAccount":
        if name != "aws-node":
            return False
        if _ROLE_ANNOTATION in dig.mapping(metadata.get("annotations"), f"{file}: annotations"):
            _own_role(file, content, case)
        case.files.append((file, "service account"))
        return True
    if not name.startswith("aws-node"):
        return False
    pod = {"kind": "DaemonSet", "spec": {"template": {"spec": document.get("spec")}}}
    _keep(read_settings(json.dumps(pod)), file, content, case)
    if any(own in str(document.get("spec")) for own in _OWN_ROLE):
        _own_role(file, content, case)
    case.files.append((file, "aws-node pod"))
    return True


def _own_role(file: str, content: str, case: Case) -> None:
    line = dig.line_of(content, *_OWN_ROLE, _ROLE_ANNOTATION)
    case.own_role = Evidence(file=file, line=line, value="aws-node has a role of its own")


def _texts(document: Any) -> list[str]:
    """Return the texts in the lists of a document, down to some levels."""
    found: list[str] = []
    stack = [(document, 0)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, str):
            found.append(value)
        elif depth < _DEEPEST and isinstance(value, dict):
            stack += [(one, depth + 1) for one in value.values() if isinstance(one, dict | list)]
        elif depth < _DEEPEST and isinstance(value, list):
            stack += [(one, depth + 1) for one in value]
    return found


def _keep(environment: Environment, file: str, content: str, case: Case) -> None:
    case.unknown |= environment.unknown
    case.notes += [f"{file}: {note}" for note in environment.notes]
    if environment.version:
        line = dig.line_of(content, environment.version, environment.version.lstrip("v"))
        case.image = Evidence(file=file, line=line, value=environment.version)
    case.manifest = {
        variable: Evidence(
            file=file,
            line=dig.line_of(
                content,
                f"name: {variable}\n",
                f'"{variable}"',
                f"name: {variable}",
                f"{variable}=",
                f"{variable}:",
            ),
            value=value,
        )
        for variable, value in environment.variables.items()
        if variable in _KEPT
    }
