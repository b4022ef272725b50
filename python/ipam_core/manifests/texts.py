"""kubectl's text with a DaemonSet's variables: `describe ds`, `set env --list`."""

from __future__ import annotations

import re

from ipam_core.manifests.environment import CONTAINER, Environment, version_in
from ipam_core.variables import ADDRESS_VARIABLES

# kubectl's `set env --list`: "# DaemonSet aws-node, container aws-node", then NAME=VALUE, and
# "# NAME from configmap warm, key ip" for what is kept elsewhere.
_HEADER = re.compile(
    r"^# (?:DaemonSet|daemonsets?)\S* (?P<name>\S+), container (?P<container>\S+)$"
)
_REFERENCE = re.compile(r"^# (?P<name>[A-Za-z_]\w*) from (?P<where>.+)$")
_ASSIGNMENT = re.compile(r"^(?P<name>[A-Za-z_]\w*)=(?P<value>.*)$")
_DESCRIBED = re.compile(r"^Name: +(?P<name>\S+)$")
_SECTION = re.compile(r"^ {0,2}(?P<section>(?:Init )?Containers):$")
_CONTAINER = re.compile(r"^ {2,3}(?P<name>[a-z0-9][-a-z0-9.]*):$")
_FIELD = re.compile(r"^ {4,5}(?P<name>[A-Z][A-Za-z ]*):\s*(?P<value>.*)$")
_VARIABLE = re.compile(r"^ {6,7}(?P<name>[A-Za-z_]\w*):\s*(?P<value>.*)$")

Found = list[tuple[str, Environment, bool]]


def read_env_list(text: str) -> Found:
    """Return the content of `kubectl set env ds/aws-node --list`, [] for any other text."""
    found: Found = []
    variables: dict[str, str] | None = None
    unknown: dict[str, str] = {}
    for line in text.splitlines():
        if header := _HEADER.match(line.strip()):
            variables, unknown = {}, {}
            if header["container"] == CONTAINER:
                form = f"the variables of DaemonSet {header['name']}"
                found.append((header["name"], Environment(variables, unknown, form=form), False))
        elif variables is None:
            if line.strip() and not line.startswith("#"):
                return []
        elif match := _ASSIGNMENT.match(line):
            variables[match["name"]] = match["value"]
        elif (match := _REFERENCE.match(line)) and match["name"] in ADDRESS_VARIABLES:
            unknown[match["name"]] = match["where"]
    return [
        (name, each._replace(given=frozenset(each.variables)), False) for name, each, _ in found
    ]


def read_describe(text: str) -> Found:
    """Return the containers aws-node of `kubectl describe ds`, [] for any other text."""
    found: Found = []
    called = section = container = field = image = ""
    variables: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for line in text.splitlines():
        if match := _DESCRIBED.match(line):
            called, section = match["name"], ""
        elif match := _SECTION.match(line):
            section, container = match["section"], ""
        elif section != "Containers":
            continue
        elif line[:1].strip() or re.match(r"^ {1,2}[A-Z]", line):
            section = ""  # Volumes, Events
        elif match := _CONTAINER.match(line):
            container, field, image = match["name"], "", ""
            if container == CONTAINER:
                variables, unknown = {}, {}
                form = f"the description of DaemonSet {called}"
                found.append((called, Environment(variables, unknown, form=form), False))
        elif container != CONTAINER:
            continue
        elif (match := _VARIABLE.match(line)) and field.startswith("Environment"):
            name, value = match["name"], match["value"].strip()
            if value.startswith("<set to"):  # <set to the key 'ip' of config map 'warm'>
                if name in ADDRESS_VARIABLES:
                    unknown[name] = value
            elif not value.startswith("(v1:"):  # of the pod itself
                variables[name] = value
        elif match := _FIELD.match(line):
            field = match["name"]
            if field == "Image":
                image = version_in(match["value"].strip())
                found[-1] = (called, found[-1][1]._replace(version=image), False)
            elif field == "Environment Variables from":
                unknown["envFrom"] = "a config map or secret"
    return [
        (name, each._replace(given=frozenset(each.variables)), False) for name, each, _ in found
    ]
