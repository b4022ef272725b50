"""Where the agent's variables are: its endpoint, the DaemonSet, an add-on, Helm values, texts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Evidence
from ipam_core.errors import InputError
from ipam_core.manifests import Environment, read_addon, read_daemonset, read_helm_values
from ipam_core.variables import VARIABLES

if TYPE_CHECKING:
    from ipam_core.diagnosis.inputs.case import Case

_ENDPOINT = frozenset({"WARM_ENI_TARGET", "WARM_IP_TARGET", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"})
_LINE = re.compile(r"^\s*(?:- )?(?P<name>[A-Z][A-Za-z0-9_]+)(?:=|:[ \t]+)(?P<value>\S*)\s*$")
_IMAGE = re.compile(r"amazon-k8s-cni[\w-]*:(?P<version>v\d+\.\d+\.\d+[\w.+-]*)")
_OWN_ROLE = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"


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
    """Add the variables of a DaemonSet, an aws-node pod, an add-on or a container's process."""
    if not isinstance(document, dict):
        return False
    kind = document.get("kind")
    if kind in ("DaemonSet", "Pod", "ServiceAccount"):
        return _object(document, file, content, case)
    if "addon" in document or "addonName" in document:
        _keep(read_addon(content), file, content, case)
        case.files.append((file, "add-on"))
        return True
    process = [each for each in _texts(document) if each.partition("=")[0] in VARIABLES]
    if process:  # `ctr container info`, `docker inspect`
        variables = dict(each.partition("=")[::2] for each in process)
        _keep(Environment(variables, {}), file, content, case)
        case.files.append((file, "variables"))
        return True
    return False


def read_text(content: str, file: str, case: Case) -> bool:
    """Add the variables of a text: `kubectl set env --list`, `describe`, or `NAME=value` lines."""
    variables = {}
    for line in content.splitlines():
        if (match := _LINE.match(line)) and match["name"] in VARIABLES:
            variables[match["name"]] = match["value"]
    if image := _IMAGE.search(content):
        case.image = Evidence(
            file=file, line=dig.line_of(content, image[0]), value=image["version"]
        )
    if any(name in content for name in _OWN_ROLE):
        _own_role(file, content, case)
    if not variables:
        return False
    _keep(Environment(variables, {}), file, content, case)
    return True


def read_values(content: str, file: str, case: Case) -> bool:
    """Add the variables that Helm values or an add-on's configuration set."""
    if not any(variable in content for variable in VARIABLES):
        return False
    try:
        environment = read_helm_values(content)
    except InputError:
        return False
    _keep(environment, file, content, case)
    case.files.append((file, "Helm values"))
    return True


def _object(document: dict[str, Any], file: str, content: str, case: Case) -> bool:
    metadata = dig.mapping(document.get("metadata"), f"{file}: metadata")
    annotations = dig.mapping(metadata.get("annotations"), f"{file}: annotations")
    kind, name = document["kind"], dig.text(metadata.get("name"))
    if kind == "ServiceAccount":
        if name != "aws-node":
            return False
        if _ROLE_ANNOTATION in annotations:
            _own_role(file, content, case)
        case.files.append((file, "service account"))
        return True
    if kind == "Pod":
        if not name.startswith("aws-node"):
            return False
        pod = {"kind": "DaemonSet", "spec": {"template": {"spec": document.get("spec")}}}
        environment = _environment(pod)
    else:
        environment = _environment(document)
    if image := _IMAGE.search(str(document.get("spec"))):
        case.image = Evidence(
            file=file, line=dig.line_of(content, image[0]), value=image["version"]
        )
    if any(own in str(document.get("spec")) for own in _OWN_ROLE):
        _own_role(file, content, case)
    _keep(environment, file, content, case)
    case.files.append((file, "manifest" if kind == "DaemonSet" else "aws-node pod"))
    return True


def _environment(document: dict[str, Any]) -> Environment:
    import json  # noqa: PLC0415  (the reader of manifests takes text)

    return read_daemonset(json.dumps(document))


def _own_role(file: str, content: str, case: Case) -> None:
    line = dig.line_of(content, *_OWN_ROLE, _ROLE_ANNOTATION)
    case.own_role = Evidence(file=file, line=line, value="aws-node has a role of its own")


def _texts(document: Any) -> list[str]:
    """Return the texts in the lists of a document, however deep."""
    found: list[str] = []
    stack = [(document, 0)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, str):
            found.append(value)
        elif depth < 8 and isinstance(value, dict):
            stack += [(one, depth + 1) for one in value.values() if isinstance(one, dict | list)]
        elif depth < 8 and isinstance(value, list):
            stack += [(one, depth + 1) for one in value]
    return found


def _keep(environment: Environment, file: str, content: str, case: Case) -> None:
    case.unknown |= environment.unknown
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
        if variable in VARIABLES
    }
