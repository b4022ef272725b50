"""Text of JSON or YAML as documents: the one reader for every input that may be either.

A small file can hold much: YAML aliases repeat what they name, and a few letters of JSON make
an object of many bytes. So the limits are checked here, before a document is built: its
length, how many values it has with every alias written out, and how deep they are nested. Each
bound is far above what the agent, kubectl or AWS print.
"""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.errors import InputError
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import IO

LARGEST = 128 << 20
"""Bytes of a document. `kubectl get pods -A -o json` prints about 10 KB a pod."""
MOST_VALUES = 4_000_000
"""Values of a JSON document: about 500 MB once read."""
MOST_YAML_VALUES = 500_000
"""Values of a YAML document, with every alias written out; reading takes 5 microseconds each."""
DEEPEST = 64
"""Levels of nested lists and mappings. A Kubernetes object has fewer than 20."""


def read_text(path: Path, most: int = LARGEST) -> str:
    """Return the text of a file, without a byte order mark.

    Raises `OSError` where it cannot be read, and `InputError` as `text_of`.
    """
    with path.open("rb") as stream:
        return text_of(stream, most)


def text_of(stream: IO[bytes], most: int = LARGEST) -> str:
    """Return the rest of a stream as text, without a byte order mark.

    UTF-8, or UTF-16 as PowerShell's `>` writes it. Reads at most one byte more than `most`.

    Raises:
        InputError: more than `most` bytes, or not such text.
    """
    content = stream.read(most + 1)
    if len(content) > most:
        raise InputError(f"larger than {most >> 20} MiB, the most that is read")
    name, encoding = "UTF-8", "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name, encoding = "UTF-16", "utf-16"
    elif content[:2].count(0) == 1:  # without a byte order mark one of the first two bytes is 0
        name, encoding = "UTF-16", "utf-16-be" if content[0] == 0 else "utf-16-le"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"not {name} text at byte {error.start}") from None


def load_documents(text: str, *, each_key_once: bool = False) -> list[Any]:
    """Return the documents in `text` that are not null: one of JSON, or any number of YAML.

    JSON is tried first: it is faster, and may have tabs between its tokens, which YAML may
    not. If a mapping has a key twice, the last counts. With `each_key_once` it is refused: the
    author of a file written by hand meant both.

    Raises:
        InputError: neither, in one line that names the place; or beyond the bounds above.
    """
    try:
        documents = [load_json(text, each_key_once=each_key_once)]
    except json.JSONDecodeError:
        documents = _load_yaml(text, each_key_once)
    return [document for document in documents if document is not None]


def load_json(text: str, *, each_key_once: bool = False) -> Any:
    """Return the value of a JSON text.

    Raises:
        InputError: more values, deeper nesting or a longer number than allowed; with
            `each_key_once` a key that an object has twice.
        json.JSONDecodeError: not JSON; a `ValueError` that names the place.
    """
    _check_values(sum(map(text.count, ",[{")), MOST_VALUES)
    once = {"object_pairs_hook": _of_pairs} if each_key_once else {}
    return _decoded(json.loads, text, **once)


def load_json_values(text: str) -> Iterator[Any]:
    """Yield the values of a text that holds one or more JSON values.

    Raises as `load_json`, when it reaches the value in question.
    """
    _check_values(sum(map(text.count, ",[{")), MOST_VALUES)
    decoder = json.JSONDecoder()
    end = _end_of_space(text, 0)
    while end < len(text):
        value, end = _decoded(decoder.raw_decode, text, end)
        yield value
        end = _end_of_space(text, end)


def may_be_read(text: str) -> bool:
    """Return whether a text of JSON has no more values than `load_json_values` takes."""
    return sum(map(text.count, ",[{")) <= MOST_VALUES


def _end_of_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object whose keys are all different."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _twice(key)
        found[key] = value
    return found


def _decoded(decode: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what a decoder returns for its arguments, within the bounds."""
    try:
        document = decode(*arguments, **options)
    except RecursionError:
        raise _too_deep() from None
    except (json.JSONDecodeError, InputError):
        raise
    except ValueError as error:
        raise InputError(f"a number that is too long: {error}") from None
    level = [document[0] if isinstance(document, tuple) else document]
    for _ in range(DEEPEST):
        level = [
            value
            for holder in level
            if isinstance(holder, dict | list)
            for value in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(value, dict | list)
        ]
        if not level:
            return document
    raise _too_deep()


def _load_yaml(text: str, each_key_once: bool) -> list[Any]:
    with extra("yaml", "what is not JSON"):
        import yaml  # noqa: PLC0415  (takes longer than the rest of the package)

    # The loader in C is five times as fast. It calls itself for each level of nesting, which
    # is safe because the depth was checked.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if each_key_once:
            _check_keys(yaml, yaml.parse(text, loader))
        _check_yaml(yaml, yaml.parse(text, loader))
        return list(yaml.load_all(text, loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark  # the parser in C may be a line past the last
        where = f"line {min(mark.line, text.rstrip().count(chr(10))) + 1}: " if mark else ""
        raise InputError(f"neither JSON nor YAML: {where}{error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"neither JSON nor YAML: {' '.join(str(error).split())}") from None


def _check_yaml(yaml: Any, events: Any) -> None:
    """Refuse a stream of YAML events whose documents would be too large or too deep.

    Cost: one pass. An alias counts as all that it names; the values are counted without being
    built.
    """
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []  # its anchor, and the number of values before it
    n_values = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            sizes.clear()
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor:
                sizes[anchor] = n_values - before
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in opened):
                raise InputError(f"the YAML alias {event.anchor!r} is inside what it names")
            n_values += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.NodeEvent):
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append((event.anchor, n_values))
            elif event.anchor:
                sizes[event.anchor] = 1
            n_values += 1
        _check_values(n_values, MOST_YAML_VALUES)
        if len(opened) > DEEPEST:
            raise _too_deep()


def _check_keys(yaml: Any, events: Any) -> None:
    """Refuse a stream of YAML events in which a mapping has a key twice. Cost: one pass."""
    kind_of = yaml.resolver.Resolver().resolve
    lists: set[tuple[str, str]] = set()  # stands for the keys of a list, which has none
    opened = [lists]
    is_key = [False]  # whether the next value in each is a key
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            opened.pop()
            is_key.pop()
        elif isinstance(event, yaml.NodeEvent):
            keys = opened[-1]
            if is_key[-1] and isinstance(event, yaml.ScalarEvent) and event.value != "<<":
                kind = event.tag or kind_of(yaml.ScalarNode, event.value, event.implicit)
                key = (kind, event.value)  # 1 is another key than "1"
                if key in keys:
                    raise _twice(event.value, event.start_mark.line + 1)
                keys.add(key)
            is_key[-1] = keys is not lists and not is_key[-1]
            if isinstance(event, yaml.CollectionStartEvent):
                is_key.append(isinstance(event, yaml.MappingStartEvent))
                opened.append(set() if is_key[-1] else lists)


def _twice(key: str, line: int = 0) -> InputError:
    where = f"line {line}: " if line else ""
    return InputError(f"{where}the key {quoted(key)} is there twice in one mapping")


def _check_values(n_values: int, most: int) -> None:
    if n_values > most:
        raise InputError(f"more than {most:,} values, the most that one document may have")


def _too_deep() -> InputError:
    return InputError(f"nested deeper than {DEEPEST} levels")
