"""The DaemonSet aws-node, a kustomize patch of it, and kubectl's text about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.documents import load_documents
from ipam_core.errors import InputError
from ipam_core.manifests.environment import (
    CHART_ENV,
    CONTAINER,
    Environment,
    container_environment,
    dig,
    looks_at,
)
from ipam_core.manifests.texts import read_describe, read_env_list

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_PRINTED = "as 'kubectl -n kube-system get ds aws-node -o yaml' prints it"
PATCHED = "a patch: what it does not set is taken from the published manifest"


def read_daemonset(text: str, *, name: str = "", base: Environment | None = None) -> Environment:
    """Return the variables of the container aws-node of the one DaemonSet that has it.

    `text` is a manifest, a list, a kustomize patch or a Kustomization with patches in it,
    or what `kubectl describe ds` or `kubectl set env --list` print. `name` chooses among
    several DaemonSets. A patch holds only its changes: the rest is that of `base`, or of the
    published manifest.

    Raises:
        InputError: neither JSON nor YAML, not exactly one such DaemonSet, or not well formed.
    """
    for read in (read_env_list, read_describe):
        if listed := read(text):
            return _one(listed, name)[1]
    found = [
        each
        for document in load_documents(text, each_key_once=True)
        for each in _candidates(document)
    ]
    _, environment, is_patch = _one(found, name)
    if not is_patch:
        return environment
    if base is not None:
        return environment.over(base.variables)._replace(
            unknown={k: v for k, v in base.unknown.items() if k not in environment.variables}
            | environment.unknown,
            version=environment.version or base.version,
        )
    return environment.over(CHART_ENV, PATCHED)


def daemonsets(document: Any) -> list[dict[str, Any]]:
    """Return the DaemonSets of a document: itself, or those in it if it is a list."""
    if not isinstance(document, dict):
        return []
    is_list = dig(document, str, "kind").endswith("List")
    objects = dig(document, list, "items") if is_list else [document]
    return [each for each in objects if dig(each, str, "kind") == "DaemonSet"]


_Found = tuple[str, Environment, bool]


def _one(found: list[_Found], name: str) -> _Found:
    """Return the DaemonSet of that name; without a name, the only one."""
    chosen = [each for each in found if each[0] == name] if name else found
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(each for each, _, _ in found)
    if name and not chosen:
        raise InputError(f"no DaemonSet {name!r} with a container {CONTAINER!r}: {names or 'none'}")
    hint = "; choose with --daemonset NAME" if len(set(names.split(", "))) > 1 else ""
    raise InputError(
        f"{len(chosen)} DaemonSets with a container {CONTAINER!r}{names and f' ({names})'}: "
        f"one is needed, {AS_PRINTED}{hint}"
    )


def _candidates(document: Any) -> Iterator[_Found]:
    """Yield name, variables and whether it is a patch, for each DaemonSet with the container."""
    if looks_at(document, "kind") == "Kustomization":
        yield from _patches(document)
    for daemonset in daemonsets(document):
        called = dig(daemonset, str, "metadata", "name")
        for container in dig(daemonset, list, "spec", "template", "spec", "containers"):
            if dig(container, str, "name") == CONTAINER:
                # A manifest has an image and a selector; a strategic-merge patch has neither.
                is_patch = "image" not in container and "selector" not in daemonset["spec"]
                kind = "a patch of the DaemonSet" if is_patch else "DaemonSet"
                form = f"{kind} {called}".rstrip()
                yield called, container_environment(container, form), is_patch


def _patches(kustomization: dict[str, Any]) -> Iterator[_Found]:
    """Yield the inline patches of a Kustomization: strategic merges, and lists of operations."""
    texts = [looks_at(each, "patch") for each in dig(kustomization, list, "patches")]
    for text in [*texts, *dig(kustomization, list, "patchesStrategicMerge")]:
        if not isinstance(text, str) or "\n" not in text.strip():
            continue  # the path of a file that is not given
        for document in load_documents(text, each_key_once=True):
            if isinstance(document, list):
                yield from _operations(document)
            else:
                yield from _candidates(document)


def _operations(operations: list[Any]) -> Iterator[_Found]:
    """Yield the variables that a JSON patch (RFC 6902) adds to a container's list."""
    entries = [
        each["value"]
        for each in operations
        if isinstance(each, dict)
        and looks_at(each, "op") in ("add", "replace")
        and isinstance(looks_at(each, "value", "name"), str)
        and "/env/" in str(each.get("path"))
    ]
    if entries:
        form = "a patch of the DaemonSet"
        yield CONTAINER, container_environment({"env": entries}, form), True
