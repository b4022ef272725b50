"""What files hold is shown or refused, never interpreted: markup, escapes, line ends."""

from __future__ import annotations

import ast
import json
import re
from functools import partial
from pathlib import Path

import pytest

import ipam_core
from ipam_core.cli import _out
from ipam_core.cli._app import run
from ipam_core.cli._tables import Table
from ipam_core.quoting import QUOTED, cut, quoted, visible
from support.commands import called

PACKAGE = Path(ipam_core.__file__).parent
PRINTERS = {"cli/_out.py", "cli/_tables.py"}
ANSWERS = {"cloud/small_model.py", "cloud/small_session.py"}
"""A process that answers its parent over a pipe, and that parent: nobody is shown any of it."""
ESCAPED = "a\x1b]0;PWNED\x07\x1b[2J"
"""A title for the terminal's window, and all that is on it wiped away."""
TURNED = "web\u202e0-bew"
MARKUP = "stall [prod][/] [red]x[/red] [link=http://a.example]y :smile: [/prod]"


@pytest.fixture
def command(capsys):
    return partial(called, capsys)


def bypasses(tree):
    """Yield what in a module writes without the one place that makes text safe to show."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "rich")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rich":
            yield node.module
        elif isinstance(node, ast.Name) and node.id == "print":
            yield "print"
        elif isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "echo", "secho"):
            yield node.attr


def test_no_module_prints_but_the_one_place():
    found = {
        path.relative_to(PACKAGE).as_posix(): list(bypasses(ast.parse(path.read_text("utf-8"))))
        for path in PACKAGE.rglob("*.py")
    }
    assert {name for name, uses in found.items() if uses} == PRINTERS | ANSWERS


@pytest.mark.parametrize(
    "code",
    [
        "import rich.table",
        "from rich.text import Text",
        "print('x')",
        "show = print",
        "import sys\nsys.stderr.write('x')",
        "typer.echo('x')",
    ],
)
def test_every_other_way_to_print_is_found(code):
    assert list(bypasses(ast.parse(code)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b-ü-ж-猫-é", "a b-ü-ж-猫-é"),
        ("\x1b[2J", r"\x1b[2J"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        (TURNED, r"web\u202e0-bew"),
        ("\ud800", r"\ud800"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("a\u2028b\ufeff\u200b\xa0", r"a\u2028b\ufeff\u200b\xa0"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_would_not_be_seen_is_an_escape(text, shown):
    assert visible(text) == shown


def test_a_long_text_is_cut_in_the_middle():
    text = "start" + "x" * 5000 + "end"
    assert len(cut(text, 200)) == 200
    assert cut(text, 200).startswith("startxx")
    assert cut(text, 200).endswith("xxend")
    assert cut("short", 5) == "short"


def test_a_quoted_value_is_short_whatever_it_is():
    round_trip: list = []
    round_trip.append(round_trip)
    for value in ("x" * 1000, [list(range(1000))], 1 << 100_000, {"a": 1 << 100_000}, round_trip):
        assert len(quoted(value)) <= QUOTED
    assert quoted("five\n") == r"'five\n'"
    assert quoted(1 << 64) == str(1 << 64)


@pytest.mark.parametrize("name", [ESCAPED, TURNED, MARKUP, "two\nlines", "\ud800", "x" * 5000])
def test_text_tables_and_errors_show_a_name_in_lines_without_escapes(name, capsys):
    table = Table(ruled=True)
    table.text_column("name")
    table.row(name)
    table.row([name, "and more"])
    _out.print_text((name, "bold"), f": {name}", indent="  ", style="red")
    _out.print_table(table)
    _out.print_error(name)
    captured = capsys.readouterr()
    plain = captured.out + captured.err
    assert plain.replace("\n", "").isprintable()
    assert len(captured.err.splitlines()) == 1
    assert len(captured.err) <= _out.LONGEST_ERROR + 1
    assert max(map(len, captured.out.splitlines())) <= 80
    if len(name) < 100:  # shown as it is, however it is broken into lines
        letters = re.sub(r"\s", "", visible(name))
        assert letters in re.sub(r"\s", "", captured.out)
        if "\n" not in name:  # an error's line breaks are spaces
            assert visible(name) in captured.err


def scenario_named(name):
    return {
        "id": name,
        "instance_type": "m5.large",
        "steps": [{"op": "boot", "label": name}, {"op": "settle"}],
        "expect": {"total_ips": 1},
    }


@pytest.mark.parametrize("name", [ESCAPED, TURNED, MARKUP, "two\nlines", "\ud800"])
@pytest.mark.parametrize("verb", ["simulate", "check"])
def test_a_scenarios_name_and_labels_are_shown_as_they_are(command, tmp_path, verb, name):
    file = tmp_path / "life.json"
    file.write_text(json.dumps(scenario_named(name)))
    status, out, _ = command(verb, file)
    assert status == 1  # another total is expected
    assert out.replace("\n", "").isprintable()
    assert re.sub(r"\s", "", visible(name)) in re.sub(r"\s", "", out)
    status, out, _ = command(verb, file, "--json")
    assert (status, json.loads(out)[0]["id"]) == (1, name)


def test_an_error_names_a_scenario_without_its_escapes(command, tmp_path):
    file = tmp_path / "life.json"
    file.write_text(json.dumps(scenario_named(ESCAPED) | {"steps": [{"op": "nope"}]}))
    status, out, err = command("simulate", file)
    assert (status, out) == (2, "")
    assert r"a\x1b]0;PWNED\x07\x1b[2J: step 1: unknown op 'nope'" in err
    assert err[:-1].isprintable()


def test_an_error_line_is_bounded(command, tmp_path):
    file = tmp_path / "life.json"
    file.write_text(json.dumps(scenario_named("x" * 100_000) | {"steps": []}))
    status, _, err = command("check", file)
    assert status == 2
    assert len(err) <= _out.LONGEST_ERROR + 1
    assert "at least one step" in err


def test_a_wrong_word_of_the_call_is_shown_without_its_escapes(command):
    status, _, err = command("explain", "--instance", ESCAPED)
    assert status == 2
    assert err[:-1].isprintable()
    status, _, err = command(ESCAPED)
    assert status == 2
    assert err[:-1].isprintable()


def test_a_formula_in_a_name_is_text_in_a_picture(command, tmp_path):
    file = tmp_path / "life.json"
    name = r"$\frac{$ 100$ \x1b <b> &amp; \$x$" + ESCAPED
    file.write_text(json.dumps(scenario_named(name)))
    picture = tmp_path / "life.svg"
    assert command("simulate", file, "--plot", picture)[0] == 1
    assert picture.read_text("utf-8").replace("\n", "").isprintable()


def test_a_letter_that_a_picture_has_not_gives_no_warning(command, tmp_path):
    file = tmp_path / "life.json"
    file.write_text(json.dumps(scenario_named("猫")))
    assert command("simulate", file, "--plot", tmp_path / "life.png")[::2] == (1, "")


def test_a_stream_that_cannot_hold_a_letter_gets_its_escape(monkeypatch):
    import io

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stderr", stream)
    assert run(["simulate", "猫.yaml"]) == 2
    stream.flush()
    assert stream.buffer.getvalue() == b"ipam-core: \\u732b.yaml: No such file or directory\n"
