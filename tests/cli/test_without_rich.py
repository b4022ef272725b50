"""What is shown without Rich, where no colours are: the same letters as Rich would show."""

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from ipam_core.cli import _out
from ipam_core.cli._out import WIDTH, print_empty, print_table, print_text
from ipam_core.cli._tables import Table

WORDS = st.text(st.sampled_from("ab c-é猫\u0301\t\n\x1b[]"), max_size=12)
CELLS = WORDS | st.lists(WORDS, min_size=1, max_size=3)


@st.composite
def tables(draw):
    """A table that may fit."""
    table = Table(
        ruled=draw(st.booleans()), full_width=draw(st.booleans()), headings=draw(st.booleans())
    )
    n_columns = draw(st.integers(1, 5))
    headings = st.text(st.sampled_from("ab c-é猫\n"), max_size=12).map(
        lambda text: text.rstrip("\n")
    )
    for _ in range(n_columns):
        if draw(st.booleans()):
            table.number_columns(draw(headings), least=draw(st.integers(0, 8)))
        else:
            table.text_column(
                draw(headings),
                no_wrap=draw(st.booleans()),
                takes_rest=draw(st.booleans()),
            )
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.integers(0, 3)) == 0:
            table.rule()
        table.row(*draw(st.lists(CELLS, min_size=1, max_size=n_columns)))
    return table


def by_rich(what, **how):
    console = Console(markup=False, emoji=False, highlight=False, width=WIDTH)
    with console.capture() as captured:
        console.print(what, **how)
    return captured.get()


def example_table(*rows, ruled=True, full_width=False):
    table = Table(ruled=ruled, full_width=full_width)
    table.text_column("what", takes_rest=True)
    table.number_columns("n", "m", least=3)
    for row in rows:
        table.rule()
        table.row(*row)
    return table


@given(tables())
@example(example_table())
@example(example_table(("a", "1", "2"), (["b", "c"], "22222", ""), full_width=True))
@example(example_table(("a" * 80, "1", "2")))
def test_a_table_that_fits_is_as_rich_shows_it(table):
    lines = table.lines()
    if lines is not None:
        assert "".join(f"{line}\n" for line in lines) == by_rich(table.rich)


@pytest.mark.parametrize("letters", [68, 69, 70, 71])
@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize("full_width", [True, False])
def test_only_a_cell_that_is_wrapped_needs_rich(letters, ruled, full_width):
    beside = 2 * 3 + (6 if ruled else 4)
    table = example_table(("a" * letters, "1", "2"), ruled=ruled, full_width=full_width)
    assert (table.lines() is None) == (letters + beside > WIDTH)


@given(
    st.lists(st.text(st.sampled_from("ab c-é猫\u0301\t\n\x1b[]\\"), max_size=70), max_size=4),
    st.sampled_from(["", "  ", "      "]),
    st.booleans(),
    st.booleans(),
)
def test_a_paragraph_is_as_rich_shows_it(parts, indent, before, whole):
    shown = []
    for colours in ("", "1"):
        with pytest.MonkeyPatch.context() as patch:
            out = Written()
            patch.setattr(sys, "stdout", out)
            patch.setenv("FORCE_COLOR", colours)
            patch.setattr(_out, "_console", lambda: PLAIN)
            print_text(*parts, indent=indent, before=before, whole=whole)
            print_empty()
        shown.append("".join(out.texts))
    assert shown[0] == shown[1]


class Written:
    """A stream that is no terminal."""

    encoding = "utf-8"

    def __init__(self):
        self.texts = []

    def write(self, text):
        self.texts.append(text)

    def flush(self):
        pass

    def isatty(self):
        return False


PLAIN = Console(
    markup=False, emoji=False, highlight=False, width=WIDTH, color_system=None, force_terminal=False
)


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_where_rich_is_told_to_show_colours_it_does(variable, monkeypatch, capsys):
    table = example_table(("a", "1", "2"))
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    _out._console.cache_clear()
    print_table(table)
    print_text(("red", "red"))
    assert "\x1b[31mred" in capsys.readouterr().out
    monkeypatch.delenv(variable)
    _out._console.cache_clear()
    print_text(("red", "red"))
    assert capsys.readouterr().out == "red\n"


def test_explain_and_instances_load_no_rich_for_a_pipe():
    code = (
        "import sys\n"
        "from ipam_core.cli._app import run\n"
        "run(['explain', 'm5.large', '-e', 'MINIMUM_IP_TARGET=25'])\n"
        "run(['instances', 'm5.*'])\n"
        "assert 'rich.console' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "25 pods" in done.stdout or "pod" in done.stdout
