"""The architecture that docs/architecture.md describes is the one that the code has."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from support.loading import loaded

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def architecture():
    return loaded(ROOT / "docs" / "architecture.py")


@pytest.fixture(scope="module")
def arrows(architecture):
    """Return what each module imports of the package, the package's own face left out."""
    known = architecture.modules()
    return {
        module: architecture.imports(path, known) - {"ipam_core", module}
        for module, path in known.items()
        if module != "ipam_core"  # it loads everything, late
    }


def test_imports_point_down(architecture, arrows):
    up = [
        f"{module} -> {other}"
        for module, others in arrows.items()
        for other in others
        if architecture.layer_of(other) < architecture.layer_of(module)
    ]
    assert up == []


def test_no_two_files_import_each_other_not_even_for_a_type(arrows):
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_no_file_is_longer_than_400_lines(architecture):
    long = {
        module: n_lines
        for module, path in architecture.modules().items()
        if (n_lines := len(path.read_text("utf-8").splitlines())) > 400
    }
    assert long == {}


def folders(architecture):
    return {
        name: (path, ast.get_docstring(ast.parse(path.read_text("utf-8"))))
        for name, path in architecture.modules().items()
        if path.name == "__init__.py" and name != "ipam_core"
    }


def test_a_folder_names_each_of_its_files(architecture):
    missing = [
        f"{name}: {path.stem}"
        for name, (init, said) in folders(architecture).items()
        for path in [*init.parent.glob("*.py"), *init.parent.glob("*/")]
        if path.stem not in ("__init__", "__pycache__")
        if not re.search(rf"\b{path.stem}\b", said)
        if path.stem.startswith("_") or name != "ipam_core.cli"  # a module for each command
    ]
    assert missing == []


def test_each_file_that_a_folder_names_is_there(architecture):
    there = {
        path.name for top in (architecture.PACKAGE, ROOT / "tools") for path in top.rglob("*.py")
    }
    gone = [
        f"{name}: {file}"
        for name, (_, said) in folders(architecture).items()
        for file in re.findall(r"\b\w+\.py\b", said)
        if file not in there
    ]
    assert gone == []


def test_a_folder_imports_what_it_says(architecture, arrows):
    layer_of, wrong = architecture.layer_of, []
    for name, (_, said) in folders(architecture).items():
        (names,) = re.findall(r"May import: (.+), and below\.", said)
        allowed = [f"ipam_core.{each}" for each in names.split(", ")]
        height = max(map(layer_of, allowed))
        wrong += [
            f"{module} -> {other}"
            for module, others in arrows.items()
            for other in others
            if f"{module}.".startswith(f"{name}.") and not f"{other}.".startswith(f"{name}.")
            if layer_of(other) <= height
            and not any(f"{other}.".startswith(f"{each}.") for each in allowed)
        ]
    assert wrong == []


def test_the_reader_of_imports_sees_those_for_types_and_inside_functions(architecture, tmp_path):
    """The checks above can fail."""
    file = tmp_path / "m.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from ipam_core.node import Node\n"
        "def f():\n    from ipam_core.cli import _out\n    import ipam_core.pool\n"
    )
    known = architecture.modules()
    found = architecture.imports(file, known)
    assert found == {"ipam_core.node", "ipam_core.cli._out", "ipam_core.pool"}
    assert architecture.layer_of("ipam_core.cli._out") < architecture.layer_of("ipam_core.node")


def test_every_file_that_the_page_names_is_there():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = re.findall(
        r"`((?:docs/)?[a-z_/-]+(?:\.py|\.md|\.pxd|\.csv|/))`", page.split("## Where to look")[1]
    )
    assert len(named) > 30
    package = ROOT / "python" / "ipam_core"
    folders = (package, package / "diagnosis/explain", package / "endpoint", ROOT / "src/ipam_core")
    for name in named:
        assert any((folder / name).exists() for folder in (*folders, ROOT)), name


def test_helpers_of_tests_are_in_their_folder():
    here = Path(__file__).parent
    others = [
        str(path.relative_to(here))
        for path in sorted(here.rglob("*.py"))
        if path.parent != here / "support"
        and not path.name.startswith("test_")
        and path.name != "conftest.py"
        and path.read_text("utf-8")
    ]
    assert others == []


def test_no_test_takes_from_another():
    folders = {path.name for path in Path(__file__).parent.iterdir() if path.is_dir()} - {"support"}
    takes = re.compile(rf"^ *(?:from|import) (?:\.|(?:{'|'.join(folders)}|\w*\.?test_\w+)\b)", re.M)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        assert not takes.findall(path.read_text("utf-8")), path
