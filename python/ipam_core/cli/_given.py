"""Settings and instance types of commands: the options and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ipam_core._dataclass import dataclass
from ipam_core.cli._options import given_text
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.instances import InstanceLimits
    from ipam_core.manifests import Environment

T = TypeVar("T")

_FILE = "as a file, or - for the standard input"
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="NAME=VALUE", help="A variable; overrides files."),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help=f"The agent's settings in any form, {_FILE}."),
]
ManifestOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help=f"The DaemonSet aws-node {_FILE}.")
]
ValuesOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help=f"Helm values of the chart aws-vpc-cni {_FILE}."),
]
AddonOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help=f"What aws eks describe-addon prints, or its configuration, {_FILE}."
    ),
]
BaseOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The manifest to which a kustomize patch applies."),
]
DaemonSetOption = Annotated[
    str, typer.Option("--daemonset", metavar="NAME", help="Which DaemonSet, if there are several.")
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse values that the agent cannot use, and misspelled names."),
]
InstanceOption = Annotated[
    list[str] | None,
    typer.Option("--instance", "--instance-type", help="The same as the argument."),
]
LimitsOption = Annotated[
    str | None,
    typer.Option(
        "--limits",
        metavar="enis=N,ips=N",
        help="Limits given by hand; also vcpus=, cards=8+8, nitro=, trunk=",
    ),
]
TypesFileOption = Annotated[
    Path | None,
    typer.Option(
        "--instance-types", metavar="FILE", help="The output of aws ec2 describe-instance-types."
    ),
]


# --- settings -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSettings:
    """The agent's variables as given, and texts about their sources.

    `place` is where a fix is made, "" for the DaemonSet; `origin` is the file's name.
    """

    variables: dict[str, str]
    unknown: dict[str, str]
    version: str = ""
    read: tuple[str, ...] = ()
    place: str = ""
    origin: str = ""


def read_given(
    env: Iterable[str] = (),
    *,
    settings: Path | None = None,
    manifest: Path | None = None,
    values: Path | None = None,
    addon: Path | None = None,
    base: Path | None = None,
    daemonset: str = "",
    strict: bool = False,
) -> GivenSettings:
    """Return the variables of the one file, if any, replaced by those of `-e`.

    Without a file, prefix mode comes with WARM_PREFIX_TARGET=1: every published manifest
    sets it, and `kubectl set env` leaves it.

    Raises:
        InputError: several files, one that holds no setting, or with `strict` a variable that
            is probably not what was meant.
    """
    from ipam_core.settings import Settings

    files = {"settings": settings, "manifest": manifest, "values": values, "addon": addon}
    named = [(how, path) for how, path in files.items() if path is not None]
    if len(named) > 1:
        raise InputError("give one of --manifest, --values and --addon, or --settings")
    over = dict(variable(each) for each in env)
    if named:
        how, path = named[0]
        found = _file(how, path, base, daemonset)
        variables = found.variables | over
        unknown = {name: where for name, where in found.unknown.items() if name not in over}
        version = f", agent {found.version}" if found.version else ""
        lines = [f"{_n(found.n_settings)} from {path} ({found.form}{version})", *found.notes]
        given = GivenSettings(
            variables=variables,
            unknown=unknown,
            version=found.version,
            read=(*lines, *([f"{_n(len(over))} from -e"] if over else ())),
            place=_place(found.form),
            origin=str(path),
        )
    elif base or daemonset:
        raise InputError("--base and --daemonset go with --manifest or --settings")
    else:
        given = _without_file(over)
    if strict and (odd := Settings.from_env(given.variables, unknown=given.unknown).warnings):
        raise InputError("; ".join(map(str, odd)))
    return given


def _file(how: str, path: Path, base: Path | None, daemonset: str) -> Environment:
    from ipam_core.manifests import read_addon, read_daemonset, read_helm_values, read_settings
    from ipam_core.variables import near_miss

    beneath = None
    if base is not None:
        beneath = _in(base, lambda text: read_daemonset(text, name=daemonset))
    readers: dict[str, Callable[[str], Environment]] = {
        "settings": lambda text: read_settings(text, daemonset=daemonset, base=beneath),
        "manifest": lambda text: read_daemonset(text, name=daemonset, base=beneath),
        "values": read_helm_values,
        "addon": read_addon,
    }
    found = _in(path, readers[how])
    if base is not None and not found.form.startswith("a patch"):
        raise InputError(f"--base: {path} is no patch ({found.form}), it sets all itself")
    if found.n_settings == 0 and not found.form.startswith("add-on "):
        near = {name: meant for name in sorted(found.given) if (meant := near_miss(name))}
        slips = "".join(f"; {name}: {meant} is near" for name, meant in near.items())
        raise InputError(f"{path}: no setting of addresses in it ({found.form}){slips}")
    return found


def _in(path: Path, read: Callable[[str], T]) -> T:
    """Read a file with a reader; an error names the file."""
    try:
        return read(given_text(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _without_file(over: dict[str, str]) -> GivenSettings:
    from ipam_core.settings import Settings

    read = []
    found = Settings.from_env(over)
    prefixes = found.enable_prefix_delegation and not found.enable_ipv6
    if prefixes and "WARM_PREFIX_TARGET" not in over:
        over = over | {"WARM_PREFIX_TARGET": "1"}
        read = ["WARM_PREFIX_TARGET=1 is used: every published manifest sets it"]
    return GivenSettings(variables=over, unknown={}, read=tuple(read))


def _place(form: str) -> str:
    """Return the place of a fix, if it is not the DaemonSet itself."""
    if form.startswith(("Helm", "HelmRelease", "Application")):
        return " in the Helm values"
    if "add-on" in form or form.startswith("Terraform"):
        return " in the add-on's configuration"
    return ""


def _n(count: int) -> str:
    return f"{count} variable" if count == 1 else f"{count} variables"


def variable(text: str) -> tuple[str, str]:
    """Return the name and value of `NAME=VALUE`; the name must be one that counts here."""
    from ipam_core.quoting import nearest
    from ipam_core.variables import ADDRESS_VARIABLES

    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"-e takes NAME=VALUE, not {text!r}")
    known = sorted(ADDRESS_VARIABLES)
    if name.lower() not in {each.lower() for each in known}:
        hint = nearest(name, known, otherwise=f"; known: {', '.join(known)}")
        raise InputError(f"-e: no setting of addresses is called {name!r}{hint}")
    return name, value


# --- instance types -----------------------------------------------------------------------


def chosen_types(
    wanted: Iterable[str],
    *,
    limits: str | None = None,
    file: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> list[InstanceLimits]:
    """Return the limits of the types asked for, in that order, each once.

    A pattern with * or ? means all types that it matches. Types of `file`, the output of
    describe-instance-types, replace those of the table; without a name and `limits` all its
    types are returned. Unknown names are reported through `report`, if it is given, and skipped.

    Raises:
        InputError: no type matches, or the file or the limits are not valid; all unknown names
            are listed.
    """
    from fnmatch import filter as matching

    from ipam_core import instances as table
    from ipam_core.errors import UnknownInstanceTypeError
    from ipam_core.instance_descriptions import read_descriptions
    from ipam_core.instances import parse_limits

    described = _in(file, read_descriptions) if file is not None else {}
    names = [*described, *(name for name in table.names() if name not in described)]
    wanted = list(wanted)
    if not wanted and not limits:
        wanted = list(described)
    chosen: dict[str, InstanceLimits] = {}
    unknown: list[str] = []
    for each in wanted:
        is_pattern = bool(set(each) & set("*?["))
        fits = matching(names, each) if is_pattern else [each]
        if not fits:
            unknown.append(f"no instance type is like {each!r}")
        for name in fits:
            try:
                chosen[name] = described.get(name) or table.limits(name)
            except UnknownInstanceTypeError as error:
                unknown.append(str(error))
    if unknown:
        if report is None:
            raise InputError("; ".join(unknown) + _OTHERWISE)
        report("; ".join(unknown) + _OTHERWISE)
    if limits:
        given = parse_limits(limits)
        chosen[given.instance_type] = given
    return list(chosen.values())


def one_type(
    name: str | None, *, limits: str | None = None, file: Path | None = None
) -> InstanceLimits | None:
    """Return the limits of the one type that is given, None if none is.

    Raises:
        InputError: as `chosen_types`, and if several are given.
    """
    return needed_type(name or "", limits=limits, file=file) if name or limits else None


def needed_type(
    name: str, *, limits: str | None = None, file: Path | None = None
) -> InstanceLimits:
    """Return the limits of the one type that is given, "" if only `limits` are.

    Raises:
        InputError: as `chosen_types`, and if none or several are given.
    """
    found = chosen_types([name] if name else [], limits=limits, file=file)
    if len(found) != 1:
        names = ", ".join(each.instance_type for each in found[:_MOST_NAMED])
        more = f" and {len(found) - _MOST_NAMED} more" * (len(found) > _MOST_NAMED)
        raise InputError(f"{len(found)} instance types ({names}{more}): one is needed")
    return found[0]


_MOST_NAMED = 3


def types_given(limits: str | None, file: Path | None) -> dict[str, InstanceLimits]:
    """Return limits that are given in addition to a file of nodes, by type.

    Those of `limits` without a name are for every node.

    Raises:
        InputError: the file or the limits are not valid.
    """
    from ipam_core.instance_descriptions import read_descriptions
    from ipam_core.instances import BY_HAND, parse_limits
    from ipam_core.simulation.given_types import ANY_TYPE

    found = _in(file, read_descriptions) if file is not None else {}
    if limits:
        by_hand = parse_limits(limits)
        name = by_hand.instance_type
        found[ANY_TYPE if name == BY_HAND else name] = by_hand
    return found


_OTHERWISE = " (or give --limits enis=4,ips=15, or --instance-types FILE)"
