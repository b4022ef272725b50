"""Files that a person drops on the page, or chooses: sent to this server, given to a handler.

All files of one drop are one request: a line of JSON with their names and sizes, then their
bytes. They are held in temporary files without a name, which are gone when the handler returns.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from fastapi import Request  # noqa: TC002  (FastAPI reads the annotation)
from nicegui import ui
from starlette.responses import Response

from ipam_core.errors import InputError, IpamError
from ipam_core.quoting import quoted
from ipam_core.web.guard import DROPS, MOST_DROPPED, MOST_LISTED
from ipam_core.web.markup import text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from fastapi import FastAPI

MOST_FILES = 1_000
"""The most files of one drop."""
MOST_HELD = 4 * MOST_DROPPED
"""Bytes of all drops that are read at one moment."""
_LONGEST_NAME = 1_000
_IN_MEMORY = 1 << 20
_BUSY = "other files are being read; try again in a moment"


@dataclass(frozen=True, slots=True)
class Dropped:
    """One file: its name, with the folders that were dropped around it, and its content."""

    name: str
    stream: IO[bytes]


_WORDS = {
    "drop": ("Drop files here", "여기에 파일을 놓으십시오"),
    "drop_folders": ("Drop files or folders here", "여기에 파일이나 폴더를 놓으십시오"),
    "files": ("Choose files", "파일 선택"),
    "folder": ("Choose a folder", "폴더 선택"),
    "most": (
        "Files: at most {files}, {bytes} in all. They stay on this machine, and are not kept.",
        "최대 {bytes}, 파일 {files}개. 파일은 이 컴퓨터를 벗어나지 않으며 보관되지 않습니다.",
    ),
    "reading": ("Reading the files", "파일을 읽는 중"),
    "too_large": ("{size} in all: at most {bytes}", "전체 {size}: 최대 {bytes}"),
    "too_many": ("{count} files: at most {files}", "파일 {count}개: 최대 {files}개"),
    "gone": (
        "The server does not answer. Load the page again.",
        "서버가 응답하지 않습니다. 페이지를 다시 여십시오.",
    ),
}


@dataclass(eq=False, kw_only=True)
class Zone:
    """Who takes the files that are sent to one zone, and how many.

    Its handler is given the files in the order of their names; an `IpamError` of it is shown as
    one line. The streams are closed when it returns.
    """

    handler: Callable[[list[Dropped]], Awaitable[None]]
    most_bytes: int = MOST_DROPPED
    most_files: int = MOST_FILES
    identifier: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    busy: bool = False

    def __post_init__(self) -> None:
        """Take part in what is sent, for as long as the zone is held."""
        _ZONES[self.identifier] = self


def drop_zone(
    handler: Callable[[list[Dropped]], Awaitable[None]],
    *,
    lang: str = "en",
    most_bytes: int = MOST_DROPPED,
    most_files: int = MOST_FILES,
    folders: bool = False,
) -> None:
    """Add a place to the page that is built, where files are dropped or chosen by the keyboard.

    `handler` is awaited with the files of each drop, as that of a `Zone`, in the context of the
    page: it may change and make elements. With `folders` a folder is taken, with all in it.
    """
    client = ui.context.client

    async def on_page(files: list[Dropped]) -> None:
        with client:
            await handler(files)

    zone = Zone(handler=on_page, most_bytes=most_bytes, most_files=most_files)
    ui.add_head_html(f"<style>{_STYLE}</style><script>{_SCRIPT}</script>")
    element = ui.html(zone_html(zone, lang=lang, folders=folders), sanitize=False)
    element.zone = zone  # type: ignore[attr-defined]  # it lives as long as the page


def zone_html(zone: Zone, *, lang: str, folders: bool) -> str:
    """Return a zone as HTML."""
    bounds = {"bytes": _size(zone.most_bytes), "files": f"{zone.most_files:,}"}
    words = {name: texts[lang == "ko"] for name, texts in _WORDS.items()}
    said = {name: words[name] for name in ("reading", "gone")}
    said |= {name: _filled(words[name], bounds) for name in ("too_large", "too_many")}
    kept = {
        "to": f"{DROPS}{zone.identifier}",
        "most": {"bytes": zone.most_bytes, "files": zone.most_files},
        "words": said,
    }
    buttons = _button(words["files"], "")
    if folders:
        buttons += _button(words["folder"], "webkitdirectory")
    return (
        f'<div class="drop" data-drop="{text(json.dumps(kept))}">'
        f"<p><b>{words['drop_folders' if folders else 'drop']}</b></p>"
        f'<p class="choose">{buttons}</p>'
        f'<p class="hint">{_filled(words["most"], bounds)}</p>'
        '<p class="said" role="status"></p><p class="problem" role="alert"></p></div>'
    )


_ZONES: WeakValueDictionary[str, Zone] = WeakValueDictionary()


def _button(word: str, more: str) -> str:
    return f'<label class="pick">{word}<input type="file" multiple {more}></label>'


def _filled(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.0f} MB"


def add_drops(app: FastAPI) -> None:
    """Add to an application the route that files are sent to.

    Its answer is 204 where they were taken, and 200 with words where they were not: of 422 a
    browser would complain in its console.
    """
    held = _Held()

    async def dropped(request: Request, identifier: str) -> Response:
        zone = _ZONES.get(identifier)
        if zone is None:
            return _said(404, "this page is no longer open: load it again")
        try:
            await _receive(zone, request, held)
        except IpamError as error:
            return _said(200, str(error))
        except OSError as error:
            return _said(200, error.strerror or str(error))
        return Response(status_code=204)

    app.post(f"{DROPS}{{identifier}}", response_class=Response)(dropped)


def _said(status: int, words: str) -> Response:
    return Response(words, status_code=status, media_type="text/plain; charset=utf-8")


class _Held:
    """The bytes of the drops that are being read."""

    def __init__(self) -> None:
        self.n_bytes = 0


async def _receive(zone: Zone, request: Request, held: _Held) -> None:
    length = int(request.headers.get("content-length", "0"))
    if length > zone.most_bytes + MOST_LISTED:
        raise InputError(f"{_size(length)} in all: at most {_size(zone.most_bytes)}")
    if zone.busy or held.n_bytes + length > MOST_HELD:
        raise InputError(_BUSY)
    zone.busy = True
    held.n_bytes += length
    try:
        with ExitStack() as opened:
            files = await _files(zone, request.stream(), opened)
            await zone.handler(files)
    finally:
        held.n_bytes -= length
        zone.busy = False


async def _files(zone: Zone, chunks: AsyncIterator[bytes], opened: ExitStack) -> list[Dropped]:
    """Return the files of a request, in the order of their names."""
    head = b""
    async for chunk in chunks:
        head += chunk
        if b"\n" in head or len(head) > MOST_LISTED:
            break
    header, _, rest = head.partition(b"\n")
    listed = _listed(header, zone)
    files = []
    for name, size in listed:
        spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  (the stack closes it)
        stream = opened.enter_context(spool)
        left = size
        while left:
            if not rest:
                rest = await anext(chunks, b"")
                if not rest:
                    raise InputError(f"{quoted(name)}: cut off")
            stream.write(rest[:left])
            rest, left = rest[left:], max(left - len(rest), 0)
        stream.seek(0)
        files.append(Dropped(name, stream))
    return sorted(files, key=lambda each: each.name.split("/"))


def _listed(header: bytes, zone: Zone) -> list[tuple[str, int]]:
    """Return the names and sizes in the first line of a request. Raises `InputError`."""
    try:
        found: Any = json.loads(header)
        listed = [(name, size) for name, size in found]
    except (ValueError, TypeError, RecursionError):
        raise InputError("no list of files in the request") from None
    for name, size in listed:
        named = isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME
        if not named or type(size) is not int or size < 0:
            raise InputError(f"{quoted(name)} of {quoted(size)} bytes: no name and size of a file")
    if not 1 <= len(listed) <= zone.most_files:
        raise InputError(f"{len(listed)} files: at least 1, at most {zone.most_files}")
    total = sum(size for _, size in listed)
    if total > zone.most_bytes:
        raise InputError(f"{_size(total)} in all: at most {_size(zone.most_bytes)}")
    return listed


_STYLE = """
.ipam .drop{border:2px dashed var(--dim);border-radius:12px;padding:18px;text-align:center;
background:var(--card);margin:20px 0 16px}
.ipam .drop.over{border-color:var(--blue);background:var(--area)}
.ipam .drop .choose{display:flex;gap:10px;justify-content:center;flex-wrap:wrap;margin:10px 0}
.ipam .drop .pick{position:relative;margin:0;font-size:14px;font-weight:600;padding:7px 14px;
border:1px solid var(--blue);border-radius:7px;color:var(--blue);cursor:pointer}
.ipam .drop .pick:hover{background:var(--area)}
.ipam .drop .pick:focus-within{outline:3px solid var(--blue);outline-offset:2px}
.ipam .drop .pick input{position:absolute;inset:0;opacity:0;width:100%;cursor:pointer}
.ipam .drop .said:empty,.ipam .drop .problem:empty{display:none}
"""

_SCRIPT = """
if (!window.ipamDrops) {
window.ipamDrops = true;
const zoneOf = event => event.target.closest && event.target.closest('[data-drop]');
const say = (zone, words, wrong) => {
  zone.querySelector('.said').textContent = wrong ? '' : words;
  zone.querySelector('.problem').textContent = wrong ? words : '';
};
const send = async (zone, files) => {
  const {to, most, words} = JSON.parse(zone.dataset.drop);
  const total = files.reduce((sum, [, file]) => sum + file.size, 0);
  if (!files.length) return;
  if (files.length > most.files)
    return say(zone, words.too_many.replace('{count}', files.length.toLocaleString('en')), true);
  if (total > most.bytes)
    return say(zone, words.too_large.replace('{size}', Math.ceil(total / 1e6).toLocaleString('en')
      + ' MB'), true);
  say(zone, words.reading, false);
  zone.setAttribute('aria-busy', 'true');
  try {
    const header = JSON.stringify(files.map(([name, file]) => [name, file.size])) + '\\n';
    const body = new Blob([header, ...files.map(([, file]) => file)]);
    const answer = await fetch(to, {method: 'POST', body});
    say(zone, await answer.text(), true);
  } catch {
    say(zone, words.gone, true);
  }
  zone.removeAttribute('aria-busy');
};
const inFolder = async (entry, prefix) => {
  const name = prefix + entry.name;
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [[name, file]];
  }
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    for (const each of some) found.push(...await inFolder(each, name + '/'));
  }
};
for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop'])
  document.addEventListener(kind, event => {
    event.preventDefault();
    for (const each of document.querySelectorAll('[data-drop].over'))
      each.classList.remove('over');
    const zone = zoneOf(event);
    if (zone && kind !== 'dragleave' && kind !== 'drop') zone.classList.add('over');
    if (!zone || kind !== 'drop') return;
    const items = [...event.dataTransfer.items].map(
      each => each.webkitGetAsEntry && each.webkitGetAsEntry());
    if (items.some(entry => entry && entry.isDirectory))
      Promise.all(items.filter(Boolean).map(entry => inFolder(entry, '')))
        .then(found => send(zone, found.flat()))
        .catch(error => say(zone, String(error.message || error), true));
    else send(zone, [...event.dataTransfer.files].map(file => [file.name, file]));
  });
document.addEventListener('change', event => {
  const zone = zoneOf(event);
  if (!zone || event.target.type !== 'file') return;
  send(zone, [...event.target.files].map(file => [file.webkitRelativePath || file.name, file]));
  event.target.value = '';
});
}
"""
