"""`ipam-core checkpoint`: show durable state, and convert the agent's from and to its form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._options import JsonOption
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.checkpoint import Checkpoint, Entry

checkpoint: typer.Typer = typer.Typer(
    no_args_is_help=True, help="Show and verify a checkpoint; move the agent's ipam.json."
)

PathOption = Annotated[Path, typer.Option("--checkpoint", help="The checkpoint's file.")]
FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The checkpoint's file, the same as --checkpoint."),
]
DEFAULT = Path("ipam.db")


@checkpoint.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The agent's ipam.json.")],
    path: PathOption = DEFAULT,
    replace: Annotated[
        bool, typer.Option("--replace", help="First remove all entries of the checkpoint.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Take over the agent's allocations, of all network cards, into a checkpoint.

    FILE is card 0's; ipam-nic-1.json and so on next to it are read too. If one entry is wrong,
    or contradicts the checkpoint, the checkpoint is not changed.

    Example: ipam-core checkpoint import examples/ipam.json
    """
    from ipam_core.checkpoint import Checkpoint
    from ipam_core.cli._out import print_json, print_text
    from ipam_core.ipamd import checkpoint_file

    files = checkpoint_file.card_files(file)
    for card, card_file in files.items():  # bad input creates no checkpoint
        checkpoint_file.read(card_file, card)
    with Checkpoint(path) as opened:
        entries = checkpoint_file.import_node(opened, file, replace=replace)
        held = sum(entry.sandbox is not None for entry in opened.entries())
    if as_json:
        print_json({"files": [str(f) for f in files.values()], "imported": len(entries)})
    else:
        for card_file in files.values():
            print_text(f"read {card_file}")
        print_text(f"{len(entries)} allocations imported; {path} holds {held}")
    return 0


@checkpoint.command("export")
def export(
    file: FileArgument = None,
    path: PathOption = DEFAULT,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file; other cards go to -nic-N next to it.")
    ] = None,
    card: Annotated[int, typer.Option(min=0, help="The network card to print.")] = 0,
    intact: Annotated[
        bool,
        typer.Option("--intact", help="Export only the intact entries of a damaged checkpoint."),
    ] = False,
) -> int:
    """Write allocations as the agent's JSON: one card's to the screen, or all to files.

    Exits 1 with --intact where anything had to be left out.

    Example: ipam-core checkpoint export --output /var/run/aws-node/ipam.json
    """
    from ipam_core.checkpoint.salvage import salvage
    from ipam_core.cli._out import print_error, print_json, print_text
    from ipam_core.ipamd import checkpoint_file

    path = _path(file, path)
    if output is not None and card:
        raise InputError(f"--card {card}: --output writes every card; leave out one of them")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder")
    problems: list[str] = []
    if intact:
        entries, problems = salvage(path)
    else:
        with _opened(path) as opened:
            entries = opened.entries()
    if output is not None:
        for written in checkpoint_file.export_node(entries, output):
            print_text(f"wrote {written}")
    else:
        cards_held = {e.network_card for e in entries if e.sandbox}
        if card and card not in cards_held:
            there = ", ".join(map(str, sorted(cards_held))) or "none"
            raise InputError(f"{path}: nothing of network card {card} in it; cards: {there}")
        print_json(checkpoint_file.as_document(e for e in entries if e.network_card == card))
        if left := cards_held - {card}:
            cards = ", ".join(map(str, sorted(left)))
            print_error(f"not shown: network cards {cards}")
    for problem in problems:
        print_error(f"left out: {problem}")
    return 1 if problems else 0


@checkpoint.command("show")
def show(file: FileArgument = None, path: PathOption = DEFAULT, as_json: JsonOption = False) -> int:
    """List what a checkpoint holds: each address, its holder (with container id), since when.

    Example: ipam-core checkpoint show ipam.db
    """
    from ipam_core.cli._out import print_json, print_table, print_text
    from ipam_core.cli._tables import Table

    with _opened(_path(file, path)) as opened:
        entries = opened.entries()
    if as_json:
        print_json([_plain(entry) for entry in entries])
        return 0
    table = Table()
    table.text_column("Address", no_wrap=True)
    table.text_column("Pod")
    for heading in ("Container", "Since (UTC)"):
        table.text_column(heading, no_wrap=True)
    for entry in entries:
        held = entry.sandbox
        card = f" (card {entry.network_card})" if entry.network_card else ""
        table.row(
            entry.address,
            (entry.pod or "-" if held else "released") + card,
            held.container_id[:12] if held else "-",
            _time(entry.assigned_ns if held else entry.released_ns or 0),
        )
    print_table(table)
    n_held = sum(entry.sandbox is not None for entry in entries)
    print_text(f"{n_held} held, {len(entries) - n_held} released")
    return 0


@checkpoint.command("verify")
def verify(
    file: FileArgument = None, path: PathOption = DEFAULT, as_json: JsonOption = False
) -> int:
    """Check that a checkpoint is intact: its pages, its log, and the checksum of every row.

    Exits 1 if it is damaged, and says where.

    Example: ipam-core checkpoint verify ipam.db
    """
    from ipam_core.cli._out import print_json, print_text
    from ipam_core.errors import CheckpointDamagedError

    path = _path(file, path)
    problems: tuple[str, ...] = ()
    n_entries = 0
    try:
        with _opened(path) as opened:
            n_entries = len(opened.entries())
    except CheckpointDamagedError as error:
        problems = error.problems
    if as_json:
        print_json({"whole": not problems, "problems": problems, "addresses": n_entries})
    elif problems:
        print_text(f"{path} is damaged:")
        for problem in problems:
            print_text(problem, indent="  ")
        print_text("Save the intact entries: ipam-core checkpoint export --intact --output FILE")
    else:
        print_text(f"{path} is intact: {n_entries} addresses")
    return 1 if problems else 0


def _path(file: Path | None, path: Path) -> Path:
    """Return the checkpoint that is meant. Raises `InputError`: two are."""
    if file is not None and path not in (DEFAULT, file):
        raise InputError(f"{file}, and --checkpoint {path}: give one of them")
    return file or path


def _opened(path: Path) -> Checkpoint:
    from ipam_core.checkpoint import Checkpoint

    return Checkpoint(path, create=False)


def _plain(entry: Entry) -> dict[str, Any]:
    held = entry.sandbox
    return {
        "address": entry.address,
        "network_card": entry.network_card,
        "eni_id": entry.eni_id,
        "pod": entry.pod,
        "network": held.network if held else None,
        "container_id": held.container_id if held else None,
        "ifname": held.ifname if held else None,
        "assigned_ns": entry.assigned_ns,
        "released_ns": entry.released_ns,
    }


def _time(ns: int) -> str:
    """Return a wall-clock time to the second; "-" if it is not known."""
    from datetime import UTC, datetime

    try:
        return f"{datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}" if ns > 0 else "-"
    except (OverflowError, ValueError):
        return "-"
