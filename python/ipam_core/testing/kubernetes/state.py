"""The objects of a cluster, their versions and their history, for any number of readers.

An object is kept as the bytes of its JSON: 100,000 pods take as much as they are long. Lists go
on page by page over what was there when they began; `compact` ends that, and every watch from
before it, as etcd's compaction does.
"""

from __future__ import annotations

import base64
import json
import threading
import uuid
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import GoneError, InputError, NotFoundError
from ipam_core.testing.kubernetes.selectors import ANY_FIELDS, BOOLEAN_FIELDS, FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ipam_core.k8s.client import Resource

    Selected = Callable[[Mapping[str, str], Mapping[str, str]], bool]

HISTORY = 20_000
"""Changes that a watch may go back."""
MOST_LISTS = 1000
"""Pages that are remembered for the next one; older ones expire, as etcd's do."""
_CREATED = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its JSON without kind and apiVersion, and what selectors read of it."""

    raw: bytes
    fields: Mapping[str, str]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Change:
    version: int
    resource: Resource
    namespace: str
    kind: str
    before: Stored | None
    after: Stored


class ClusterState:
    """Objects by resource, namespace and name. Every method may be called from any thread."""

    def __init__(self, *, history: int = HISTORY) -> None:
        self.changed: threading.Condition = threading.Condition()
        self._version = 1000
        self._oldest = 1000
        self._history: deque[_Change] = deque(maxlen=history)
        self._objects: dict[Resource, dict[tuple[str, str], Stored]] = {}
        self._lists: dict[str, tuple[int, list[Stored], int]] = {}

    # --- writing --------------------------------------------------------------------

    def put(self, resource: Resource, document: Mapping[str, Any]) -> None:
        """Add an object, or replace the one of its name. Raises `InputError`: it has no name."""
        self.put_all(resource, (document,))

    def put_all(self, resource: Resource, documents: Iterable[Mapping[str, Any]]) -> None:
        """Add or replace objects. Raises `InputError`: one has no name."""
        with self.changed:
            objects = self._objects.setdefault(resource, {})
            for document in documents:
                self._version += 1
                key, stored = self._stored(resource, document)
                before = objects.get(key)
                objects[key] = stored
                kind = "ADDED" if before is None else "MODIFIED"
                self._note(_Change(self._version, resource, key[0], kind, before, stored))
            self.changed.notify_all()

    def remove(self, resource: Resource, name: str, namespace: str = "") -> None:
        """Remove an object. Raises `NotFoundError`."""
        with self.changed:
            before = self._objects.get(resource, {}).pop((namespace, name), None)
            if before is None:
                raise NotFoundError("delete", "NotFound", f'{resource.plural} "{name}" not found')
            self._version += 1
            self._note(_Change(self._version, resource, namespace, "DELETED", before, before))
            self.changed.notify_all()

    def compact(self) -> None:
        """Forget every change until now, and every list under way."""
        with self.changed:
            self._history.clear()
            self._lists.clear()
            self._oldest = self._version
            self.changed.notify_all()

    # --- reading --------------------------------------------------------------------

    def get(self, resource: Resource, name: str, namespace: str = "") -> Stored:
        """Return an object. Raises `NotFoundError`."""
        with self.changed:
            found = self._objects.get(resource, {}).get((namespace, name))
        if found is None:
            raise NotFoundError("get", "NotFound", f'{resource.plural} "{name}" not found')
        return found

    def document(self, resource: Resource, name: str, namespace: str = "") -> dict[str, Any]:
        """Return an object's document, to change and `put` again. Raises `NotFoundError`."""
        found: dict[str, Any] = json.loads(self.get(resource, name, namespace).raw)
        return found

    def count(self, resource: Resource) -> int:
        """Return how many objects of a kind there are."""
        return len(self._objects.get(resource, {}))

    def page(
        self,
        resource: Resource,
        namespace: str,
        selected: Selected,
        *,
        limit: int = 0,
        token: str = "",
    ) -> tuple[list[Stored], int, str, int]:
        """Return a page of a list: objects, the version, the next token, and how many are left.

        Raises `GoneError`: the token's list is not there any more. `InputError`: it is no token.
        """
        with self.changed:
            if token:
                version, found, at = self._list_of(token)
            else:
                objects = self._objects.get(resource, {})
                keys = sorted(key for key in objects if namespace in ("", key[0]))
                stored = (objects[key] for key in keys)
                found = [each for each in stored if selected(each.fields, each.labels)]
                version, at = self._version, 0
            page = found[at : at + limit] if limit else found[at:]
            left = len(found) - at - len(page)
            if not left:
                return page, version, "", 0
            identifier = uuid.uuid4().hex
            self._lists[identifier] = (version, found, at + len(page))
            while len(self._lists) > MOST_LISTS:
                del self._lists[next(iter(self._lists))]
        return page, version, base64.urlsafe_b64encode(identifier.encode()).decode(), left

    def _list_of(self, token: str) -> tuple[int, list[Stored], int]:
        try:
            identifier = base64.urlsafe_b64decode(token).decode()
        except ValueError:
            raise InputError("continue key is not valid: illegal base64 data") from None
        if identifier not in self._lists:
            raise GoneError(
                "list",
                "Expired",
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter, or use the continue "
                "token in this response to retrieve the remainder of the results.",
            )
        return self._lists[identifier]

    def changes(
        self, resource: Resource, namespace: str, since: int, selected: Selected
    ) -> tuple[list[tuple[str, Stored]], int]:
        """Return what changed after a version, as a watch says it, and the newest version.

        Raises `GoneError`: changes after it are forgotten.
        """
        with self.changed:
            if since < self._oldest:
                raise GoneError(
                    "watch", "Expired", f"too old resource version: {since} ({self._oldest})"
                )
            at = bisect_right(self._history, since, key=lambda each: each.version)
            found = [
                said
                for number in range(at, len(self._history))
                if (change := self._history[number]).resource == resource
                and namespace in ("", change.namespace)
                if (said := _said(change, selected)) is not None
            ]
            return found, self._version

    @property
    def version(self) -> int:
        """The version of the last change."""
        return self._version

    # --- keeping ----------------------------------------------------------------------

    def _stored(
        self, resource: Resource, document: Mapping[str, Any]
    ) -> tuple[tuple[str, str], Stored]:
        metadata = dict(document.get("metadata") or {})
        name = metadata.get("name")
        if not isinstance(name, str) or not name:
            raise InputError(f"{resource.plural}: an object without a name")
        namespace = metadata.get("namespace", "")
        metadata.setdefault("uid", str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}/{name}")))
        metadata.setdefault("creationTimestamp", _CREATED)
        metadata["resourceVersion"] = str(self._version)
        whole = {**document, "metadata": metadata}
        whole.pop("kind", None)
        whole.pop("apiVersion", None)
        fields = {
            field: text
            for field in FIELDS.get(resource.plural, ANY_FIELDS)
            if (text := _text_at(whole, field))
        }
        raw = json.dumps(whole, separators=(",", ":")).encode()
        return (namespace, name), Stored(raw, fields, metadata.get("labels") or {})

    def _note(self, change: _Change) -> None:
        if len(self._history) == self._history.maxlen:
            self._oldest = self._history[0].version
        self._history.append(change)


def _said(change: _Change, selected: Selected) -> tuple[str, Stored] | None:
    """Return a change as a watch with a selector says it: what leaves the selection is deleted.

    What is deleted is as it was, with the version of its deletion: a watch goes on from that.
    Source: staging/src/k8s.io/apiserver/pkg/storage/cacher/cache_watcher.go of Kubernetes.
    """
    before, after = change.before, change.after
    is_in = change.kind != "DELETED" and selected(after.fields, after.labels)
    was_in = before is not None and selected(before.fields, before.labels)
    if is_in:
        return ("MODIFIED" if was_in else "ADDED"), after
    if before is None or not was_in:
        return None
    document = json.loads(before.raw)
    document["metadata"]["resourceVersion"] = str(change.version)
    raw = json.dumps(document, separators=(",", ":")).encode()
    return "DELETED", Stored(raw, before.fields, before.labels)


def _text_at(document: Mapping[str, Any], field: str) -> str:
    value: Any = document
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if field in BOOLEAN_FIELDS:
        return "true" if value is True else "false"
    return value if isinstance(value, str) else ""


def bytes_of(items: Iterable[Stored]) -> Iterator[bytes]:
    """Yield the objects' JSON with commas between."""
    for number, each in enumerate(items):
        if number:
            yield b","
        yield each.raw
