"""The examples of the documents do what they show, and what they name exists."""

import doctest
import re
import shutil
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from ipam_core.cli._app import app, run
from ipam_core.diagnosis.explain.explanation import CHECKS
from support.loading import loaded
from support.sessions import blocks, steps, tidy, words
from support.soak import SOAK

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *(
        "index",
        "incident",
        "commands",
        "explain",
        "tune",
        "sweep",
        "fleets",
        "embedding",
        "host-network",
    ),
    "own-rules",
    "concurrency",
    "own-cloud",
    "restart",
    *("install", "testing", "vpc"),
]
PAGES_OF_ALL = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
CHECKER = doctest.OutputChecker()


def examples(language):
    return [
        pytest.param(text, id=f"{page}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(DOCS / f"{page}.md", language), 1)
    ]


@pytest.fixture
def short_workload(tmp_path, monkeypatch):
    """Let examples/workload.yaml be about two nodes; with its twenty it takes ten seconds."""
    folder = tmp_path / "short"
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name != "examples":
            (folder / path.name).symlink_to(path)
    shutil.copytree(ROOT / "examples", folder / "examples")
    workload = folder / "examples" / "workload.yaml"
    text = workload.read_text("utf-8")
    for was, now in (("count: 20", "count: 2"),
                     ("pods: 120", "pods: 12"), ("pods: 40", "pods: 4")):  # fmt: skip
        assert text.count(was) == 1
        text = text.replace(was, now)
    workload.write_text(text, "utf-8")
    monkeypatch.chdir(folder)


def without_numbers(text):
    """Return text with `#` for each number, and one space for many."""
    return tidy(re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?", "#", text)))


@pytest.mark.parametrize("session", examples("console"))
def test_session_prints_what_it_shows(session, capsys, monkeypatch, request):
    monkeypatch.chdir(ROOT)
    form, status = tidy, None
    if "examples/workload.yaml" in session and not SOAK:
        request.getfixturevalue("short_workload")
        form = without_numbers
        # Which settings are best is another matter with other pods.
        session = re.sub(r"^ ?(\*|ENABLE|Recommended|kubectl).*$", "...", session, flags=re.M)
    for command, expected in steps(session):
        if command == "echo $?":
            assert expected.strip() == str(status)
            continue
        status = run(words(command))
        printed = form(capsys.readouterr().out)
        if not CHECKER.check_output(form(expected), printed, doctest.ELLIPSIS):
            pytest.fail(f"{command} prints\n{printed}and the page shows\n{expected}")


def test_sessions_are_told_apart():
    """The check can fail: another number, a line less, a status."""
    session = "$ ipam-core instances t1.micro\n1\n2\n$ echo $?\n0\n"
    assert list(steps(session)) == [("ipam-core instances t1.micro", "1\n2\n"), ("echo $?", "0\n")]
    for shown, printed, same in [
        ("a\n...\nc\n", "a\nb\nc\n", True),
        ("a\n...\nd\n", "a\nb\nc\n", False),
        ("a\nb\n", "a\nb\nc\n", False),
    ]:
        assert CHECKER.check_output(shown, printed, doctest.ELLIPSIS) is same


def test_python_examples_run_as_one_program_a_page(monkeypatch, request):
    monkeypatch.chdir(ROOT)
    if not SOAK:
        request.getfixturevalue("short_workload")
    n_run = 0
    for page in PAGES:
        names = {}
        for number, code in enumerate(blocks(DOCS / f"{page}.md", "python"), 1):
            exec(compile(code, f"docs/{page}.md, example {number}", "exec"), names)
            n_run += 1
    assert n_run >= 7


DEEPER = ("subnet", "checkpoint", "node", "vpc", "pods", "fleet")
"""Commands whose options are those of their own commands."""


@pytest.mark.parametrize("page", PAGES_OF_ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_that_a_page_names_exist(page, capsys):
    text = page.read_text("utf-8")
    for name in set(re.findall(r"ipam-core ([a-z]+)", text)):
        assert run([name, "--help"]) == 0, name
        help_text = capsys.readouterr().out
        for line in re.findall(rf"ipam-core {name} [^`\n]*", text):
            for option in re.findall(r"(?<=\s)--[a-z-]+", line):
                if name not in DEEPER:
                    assert option in help_text, f"{name} {option}"


def test_every_finding_is_documented_with_its_severity():
    text = (DOCS / "explain.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning|info) \|", text, re.M)
    assert rows == [(check.kind.identifier, str(check.kind.severity)) for check in CHECKS]


PAGE_OF = {name: name for name in ("explain", "doctor", "tune", "subnet", "capacity", "agent")}
PAGE_OF |= {"checkpoint": "checkpoint", "node": "aws", "vpc": "vpc", "pods": "pods"}
PAGE_OF |= {"record": "record", "fleet": "record", "cluster": "cluster"}
PAGE_OF |= {"exporter": "exporter", "sweep": "sweep", "web": "web"}


def leaves(command, *path):
    """Yield the (path, options) of every command."""
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield path, {option for param in command.params for option in param.opts}
        return
    for name, subcommand in subcommands.items():
        yield from leaves(subcommand, *path, name)


@pytest.mark.parametrize(
    ("path", "options"),
    [pytest.param(*leaf, id=" ".join(leaf[0])) for leaf in leaves(get_command(app))],
)
def test_every_command_and_option_is_documented_on_its_page(path, options):
    text = (DOCS / f"{PAGE_OF.get(path[0], 'commands')}.md").read_text("utf-8")
    assert " ".join(path) in text
    # Those of every command are told once, on the page of the commands.
    named = {option for option in options if option.startswith("--")} - {"--help", "--json"}
    assert [option for option in sorted(named) if option not in text] == []


def test_every_page_and_every_command_is_on_the_site(capsys):
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))

    def listed(nav):
        for entry in nav:
            if isinstance(entry, str):
                yield entry
            else:
                for value in entry.values():
                    yield from [value] if isinstance(value, str) else listed(value)

    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert set(listed(config["nav"])) == pages
    run(["--help"])
    commands = re.findall(r"^  ([a-z]+) +[A-Z]", capsys.readouterr().out, re.M)
    assert len(commands) >= 9
    text = (DOCS / "commands.md").read_text("utf-8")
    assert [name for name in commands if f"ipam-core {name}`" not in text] == []


def test_every_picture_that_a_page_shows_is_drawn_when_the_site_is_built():
    pictures = loaded(DOCS / "pictures.py")
    shown = {
        place
        for page in PAGES_OF_ALL
        for place in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text("utf-8"))
    }
    assert shown == {*pictures.PICTURES, *pictures.PAGES, pictures.ARCHITECTURE}
    assert pictures.draw_architecture().startswith(b"\x89PNG")
    # One of them here: `make docs` draws each, or fails.
    assert pictures.draw(pictures.PICTURES["pictures/stall.png"]).startswith(b"\x89PNG")
    with pytest.raises(RuntimeError, match="exit status 2"):
        pictures.draw("simulate nowhere.yaml")


def test_every_benchmark_is_documented():
    text = (DOCS / "benchmarks.md").read_text("utf-8")
    named = set(re.findall(r"`(bench_\w+\.py)`", text))
    assert named == {path.name for path in ROOT.glob("benchmarks/bench_*.py")}
