"""The commands by name, each loaded when it is called: to start is to load one of them.

`COMMANDS` has a command's place and what the help of `ipam-core` says of it: the first paragraph
of its own help (a test compares the two).
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from ipam_core.cli._coerce import coerce_all_quickly
from ipam_core.cli._out import WIDTH

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter


class Place(NamedTuple):
    """Where a command is: a function or a Typer app of a module of this package."""

    name: str
    summary: str
    attribute: str = ""  # the command's name


COMMANDS = {
    "demo": Place("demo", "Play the incident: a node of 232 addresses that stops at the 25th pod."),
    "simulate": Place(
        "simulate", "Play a file, JSON or YAML, and print what happens; draw it too, if asked."
    ),
    "check": Place("check", "Play scenarios and compare every value that they expect."),
    "instances": Place("instances", "Show the ENIs, pod addresses and maxPods of instance types."),
    "doctor": Place(
        "doctor", "Say why pods get no address on a node, by its files, and what fixes it."
    ),
    "explain": Place(
        "explain",
        "Show what settings do on a node: whether every pod gets an address, at what cost.",
    ),
    "tune": Place(
        "tune", "Search settings for a workload: idle addresses, pod waits and EC2 calls of each."
    ),
    "sweep": Place(
        "sweep",
        "Simulate a fleet under every combination of values, each under several seeds.",
    ),
    "capacity": Place(
        "capacity",
        "Show what groups of nodes hold in subnets: at rest, at peak, in a rolling upgrade.",
    ),
    "agent": Place(
        "agent", "Run the agent of a node: give pods addresses, and keep the pool by the targets."
    ),
    "cluster": Place(
        "cluster",
        "Show which nodes of a cluster are stuck, or will be, and what is left in their subnets.",
    ),
    "record": Place(
        "record", "Write when pods came and went, and on which node, as the CSV that fleets play."
    ),
    "exporter": Place(
        "exporter",
        "Serve a cluster's subnets and nodes as Prometheus metrics until it is interrupted.",
    ),
    "checkpoint": Place("checkpoint", "Show and verify a checkpoint; move the agent's ipam.json."),
    "fleet": Place("fleet", "Make the file of a fleet for simulate and tune.", "app"),
    "node": Place("node", "Show a real node through EC2; nothing is changed.", "app"),
    "pods": Place(
        "pods",
        "Start and end pods through an agent, as the kubelet, the runtime and the plugin do.",
        "app",
    ),
    "subnet": Place("subnet", "See how a subnet is used and fragmented, and what to do about it."),
    "vpc": Place("vpc", "Serve a VPC: EC2's API and instance metadata, for real clients.", "app"),
    "web": Place("web", "Serve a page that shows what settings do on a node, for a browser."),
}
"""In the order of the help."""


class LoadedWhenCalled(MutableMapping[str, "Command"]):
    """The commands by name; one that is looked up is loaded, and kept."""

    def __init__(self, places: dict[str, Place]) -> None:
        self._places = places
        self._loaded: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        """Return a command. Raises `KeyError`."""
        if name not in self._loaded:
            self._loaded[name] = _load(name, self._places[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Command) -> None:
        raise TypeError(f"{name}: commands are in COMMANDS")

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name}: commands are in COMMANDS")

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Commands(TyperGroup):
    """The group of all commands; its help loads none of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = LoadedWhenCalled(COMMANDS)

    def list_commands(self, ctx: Context) -> list[str]:
        """Return the names, in order."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the names with what each does."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])


def whole(app: typer.Typer) -> Command:
    """Return the command line of an app whose class is `Commands`."""
    group = get_command(app)
    coerce_all_quickly(group)
    return group


def _load(name: str, place: Place) -> Command:
    found = getattr(import_module(f"ipam_core.cli.{place.name}"), place.attribute or name)
    alone = typer.Typer(add_completion=False)
    command: Command
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
        command = get_group(alone).commands[name]
    else:
        alone.command(name)(found)
        command = get_command(alone)
    _prepare(command)
    return command


def _prepare(command: Command) -> None:
    """Make a command's help plain text, wrapped at spaces alone, and its arguments quick."""
    if isinstance(command, TyperCommand | TyperGroup):
        command.rich_markup_mode = None  # Rich takes as long to load as all the rest
    if command.help:
        paragraphs = inspect.cleandoc(command.help).split("\n\n")
        command.short_help = " ".join(paragraphs[0].split())
        command.help = "\n\n".join(_AS_IT_IS + _wrapped(each) for each in paragraphs)
    coerce_all_quickly(command)
    for each in getattr(command, "commands", {}).values():
        _prepare(each)


_AS_IT_IS = "\b\n"
"""What Typer's formatter takes for a paragraph that is wrapped already."""
_INDENTED = 4
"""Columns that are left free: two on each side."""


def _wrapped(paragraph: str) -> str:
    """Return a paragraph in lines that end at spaces, not at the hyphens of a command."""
    words = " ".join(paragraph.split())
    return "\n".join(textwrap.wrap(words, WIDTH - _INDENTED, break_on_hyphens=False))
