"""What CI installs has one version, written down."""

import importlib.util
import re

from support.installed import ROOT

WRITTEN = dict(
    re.findall(r"^([a-z0-9-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
)


def test_everything_that_is_declared_is_pinned_to_what_it_allows():
    spec = importlib.util.spec_from_file_location("constraints", ROOT / "tools" / "constraints.py")
    constraints = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(constraints)
    declared = [constraints.Requirement(each) for each in constraints.declared()]
    missing, wrong = [], []
    for one in declared:
        name = constraints.canonicalize_name(one.name)
        if name in constraints.NOT_PINNED:
            continue
        if name not in WRITTEN:
            missing.append(str(one))
        elif not one.specifier.contains(WRITTEN[name], prereleases=True):
            wrong.append(f"{one}: {WRITTEN[name]}")
    assert missing == [], "run: python tools/constraints.py > constraints.txt"
    assert wrong == []
    assert len(WRITTEN) > 100
    assert not WRITTEN.keys() & {"pip", "setuptools"}  # grpcio-tools needs newer ones
    some = constraints.pinned(["pytest>=8"])
    assert {"pytest", "pluggy", "packaging"} <= set(some)
