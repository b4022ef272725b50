"""What a command loads: itself, not the others, and nothing that it does not need."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer._click import Context
from typer.main import get_command

from ipam_core.cli._app import app
from ipam_core.cli._coerce import coerce_quickly
from ipam_core.cli._commands import COMMANDS

GROUP = get_command(app)


def loaded(*arguments):
    """Return the names of the modules that a command has loaded at its end."""
    code = (
        "import sys\n"
        "from ipam_core.cli._app import run\n"
        f"run({list(arguments)!r})\n"
        "sys.stderr.write(' '.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.split())


def commands_in(modules):
    return {name for name in COMMANDS if f"ipam_core.cli.{COMMANDS[name].name}" in modules}


def test_the_help_loads_no_command_and_neither_rich_nor_pydantic():
    modules = loaded("--help")
    assert commands_in(modules) == set()
    assert not {"rich", "pydantic", "numpy", "yaml"} & modules


def test_a_command_loads_itself_alone():
    modules = loaded("instances", "m5.large", "--json")
    assert commands_in(modules) == {"instances"}
    assert not {"pydantic", "numpy", "yaml", "ipam_core.node"} & modules


def test_explain_loads_no_fleet_and_no_arrays():
    modules = loaded("explain", "m5.large", "-e", "MINIMUM_IP_TARGET=25")
    assert commands_in(modules) == {"explain"}
    assert not {"pydantic", "numpy", "yaml", "ipam_core.simulation.fleet"} & modules


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_is_the_first_paragraph_of_the_command_s_help(name):
    command = GROUP.commands[name]
    first = command.help.split("\n\n")[0].removeprefix("\b")
    assert " ".join(first.split()) == command.short_help == COMMANDS[name].summary
    assert command.name == name


def test_the_commands_cannot_be_changed_and_unknown_ones_are_none():
    with pytest.raises(TypeError, match="COMMANDS"):
        GROUP.commands["more"] = GROUP
    with pytest.raises(TypeError, match="COMMANDS"):
        del GROUP.commands["explain"]
    with pytest.raises(KeyError):
        GROUP.commands["no-such"]
    assert GROUP.get_command(None, "no-such") is None


# --- values -----------------------------------------------------------------------------------

TEXTS = (
    "", " ", "5", "-5", "05", "+5", " 5", "5 ", "5.0", "5.5", "1e3", "-0", "1_000", "٣", "x", "-",
    "nan", "inf", "9" * 18, "9" * 19, "-" + "9" * 19, "9" * 5000, "70000", "0", "0.1", "1.", ".5",
    "true", "a,b", "é猫", "\ud800", "/", "/no/such", "/etc/passwd", "a\0b", "x" * 300,
)  # fmt: skip


def parameters(command, path=()):
    """Yield every parameter of every command, with the words before it."""
    for each in command.params:
        yield (*path, each.name), each
    for name, below in getattr(command, "commands", {}).items():
        yield from parameters(below, (*path, name))


def outcome(coerce, value, parameter, context):
    """Return the value and its type, or the text of the refusal."""
    try:
        found = coerce(value, param=parameter, ctx=context)
    except typer.TyperException as error:
        return "refused", error.format_message()
    except (ValueError, OSError) as error:
        return "refused", str(error)
    return type(found), repr(found)


def test_every_parameter_takes_and_refuses_what_typer_does(tmp_path):
    (secret := tmp_path / "secret").write_text("x")
    secret.chmod(0)
    texts = (*TEXTS, str(tmp_path), str(secret))
    quick = 0
    for path, parameter in parameters(GROUP):
        if type(parameter.get_runtime_param()).__name__ != "_Quick":
            continue
        quick += 1
        context = Context(GROUP, info_name=path[0])
        usual = type(parameter).get_runtime_param(parameter).coerce
        mine = parameter.get_runtime_param().coerce
        several = parameter.multiple or parameter.nargs == -1
        given = [*texts, None, 3, 2.5, True, Path("x")]
        for value in given if not several else [*([each] for each in texts), list(texts), (), None]:
            assert outcome(mine, value, parameter, context) == outcome(
                usual, value, parameter, context
            ), (path, value)
    assert quick > 150


def test_a_parameter_that_is_not_plain_is_left_to_typer():
    def command(
        clamped: int = typer.Option(1, clamp=True, min=0),
        parsed: str = typer.Option("", parser=str.upper),
    ):
        pass

    alone = typer.Typer(add_completion=False)
    alone.command()(command)
    for parameter in get_command(alone).params:
        coerce_quickly(parameter)
        assert type(parameter.get_runtime_param()).__name__ != "_Quick", parameter.name
