"""The command line as a whole, and the report of every failure: one line, exit status 2."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.cli._commands import Commands, whole
from ipam_core.cli._out import (
    INTERRUPTED,
    abandon_output,
    finish_output,
    prepare_streams,
    print_error,
    print_version,
)
from ipam_core.errors import IpamError

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_READ = 141
"""The status that a shell reports for a program whose output nobody reads."""

app = typer.Typer(
    name="ipam-core",
    cls=Commands,
    rich_markup_mode=None,
    help="Predict, explain and fix the address pool of an EKS node.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_version()
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Predict, explain and fix the address pool of an EKS node."""


@cache
def _command() -> Callable[..., object]:
    """Return the function that runs a command; making it takes ten times as long as a short run."""
    return whole(app)


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 fine, 1 a problem found, 2 bad input.

    `INTERRUPTED` and `NOT_READ` if the user or the reader of the output ends it.
    """
    try:
        prepare_streams()
        result = _command()(args=arguments, prog_name="ipam-core", standalone_mode=False)
        finish_output()
    except typer.TyperException as error:
        return _usage(error, sys.argv[1:] if arguments is None else arguments)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        # The reader, such as `head`, has read enough. Typer and Rich would exit with 1.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        abandon_output()
        return NOT_READ
    except OSError as error:
        with suppress(OSError):  # what cannot be written now is not tried again at the end
            finish_output()
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except IpamError as error:
        return _fail(str(error))
    return result if isinstance(result, int) else 0


def _usage(error: typer.TyperException, arguments: list[str]) -> int:
    """Report a wrong call in one line, with the wrong value."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the help was shown; typer does not name it
        return 2
    message = getattr(error, "format_message", error.__str__)().rstrip(".")
    options = getattr(getattr(error, "param", None), "opts", ())
    for option, value in pairwise(arguments):
        if option in options:
            message += f", not {value!r}"
    if getattr(getattr(error, "param", None), "param_type_name", "") == "argument":
        first = arguments[len(_command_path(arguments).split()) - 1 :][:1]
        message += "".join(f", not {word!r}" for word in first if not word.startswith("--"))
    return _fail(f"{message} (see '{_command_path(arguments)} --help')")


def _command_path(arguments: list[str]) -> str:
    """Return the command at the start of the arguments, as it is typed."""
    words, group = ["ipam-core"], _command()
    for word in arguments:
        found = getattr(group, "commands", {}).get(word)
        if found is None:
            break
        words.append(word)
        group = found
    return " ".join(words)


def _fail(message: str) -> int:
    print_error(message)
    return 2
