"""No reader should need a dictionary: the package and its pages have none of these words.

The list is the one of the project's style. Where a word is a contract (a key of JSON, a text of
the agent), `ALLOWED` has it with the reason.
"""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BETTER = {
    "patience|its mind": "API rate limits; state",
    "(?:un)?told|tell|tells|telling": "report, give, show; missing",
    "mend|mends|mended|mending": "fix",
    "whole numbers?|wholly|whole (?:free )?/28s?": "integer; completely; free",
    r"prov\w* (?:\w+ ){0,2}whole": "intact",
    "of late|lately|by and by": "recently, in the last 10 minutes",
    "in vain|is had|a life|ends whole": "never served; is available; a run",
    "beside|withal|likewise": "next to, in addition to, also",
    "what is free is cooling": "all free addresses are cooling",
    "the next look is awaited": "waiting for the next pool check (5 s)",
    "anew|afresh": "again",
    "amiss|seldom|hence|thence|thereby|lest": "wrong; rarely; so",
}
ALLOWED = {
    ("python/ipam_core/simulation/fleet/agent.py", "what is free is cooling"): "key of JSON",
    ("python/ipam_core/simulation/fleet/agent.py", "the next look is awaited"): "key of JSON",
    ("python/ipam_core/cli/_fleet.py", "what is free is cooling"): "key of JSON, by its words",
    ("python/ipam_core/cli/_fleet.py", "the next look is awaited"): "key of JSON, by its words",
    ("python/ipam_core/cli/demo.py", "mended"): "key of JSON",
    ("python/ipam_core/diagnosis/doctor/diagnosis.py", "tell"): "value of JSON: cannot tell",
    ("python/ipam_core/diagnosis/doctor/shown.py", "tell"): "value of JSON: cannot tell",
    ("python/ipam_core/cli/doctor.py", "tell"): "value of JSON: cannot tell",
    ("docs/doctor.md", "tell"): "value of JSON: cannot tell",
    ("python/ipam_core/ipamd/log_messages.py", "hence"): "texts of the agent",
    ("python/ipam_core/ipamd/log_lines.py", "hence"): "texts of the agent",
}


def pattern_of(words: str) -> re.Pattern[str]:
    """Return what finds words, but names in backquotes; in a line or across two."""
    between = r"(?:[ ]|\n[ ]*(?:# )?)"
    return re.compile(rf"(?<!`)\b(?:{words.replace(' ', between)})\b(?!`)")


PATTERNS = {pattern_of(words): better for words, better in BETTER.items()}
ANY = pattern_of("|".join(BETTER))


def of_python(source):
    """Yield line and text of each comment and string."""
    parts = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in parts:
            formatted = re.match("[rR]?[fF]", token.string)
            text = re.sub("{[^{}]*}", "{}", token.string) if formatted else token.string
            yield token.start[0], text


def of_cython(source):
    """Yield line and text of each comment, docstring and message."""
    for found in re.finditer(r'""".*?"""|"[^"\n]*"|#[^\n]*', source, re.DOTALL):
        yield source.count("\n", 0, found.start()) + 1, found.group()


def texts():
    """Yield path, line and text of all that people read."""
    package = ROOT / "python" / "ipam_core"
    for path in sorted(path for suffix in ("py", "pyi") for path in package.rglob(f"*.{suffix}")):
        source = path.read_text("utf-8")
        if ANY.search(source):  # else no part of it has one: parts take ten times as long
            yield from ((path, *part) for part in of_python(source))
    for suffix in (".pyx", ".pxd"):
        for path in sorted((ROOT / "src").rglob(f"*{suffix}")):
            yield from ((path, *part) for part in of_cython(path.read_text("utf-8")))
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    yield from ((page, 1, page.read_text("utf-8")) for page in pages)
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.split("^## ", changes, flags=re.MULTILINE)[1:3]  # what is not released, and 0.2.0
    yield ROOT / "CHANGELOG.md", 1, "\n\n" + "".join(newest)


def found_in(text):
    """Yield each word of the list, as it was found, and a better one."""
    if not ANY.search(text):
        return
    for pattern, better in PATTERNS.items():
        yield from ((found, better) for found in pattern.finditer(text))


def test_nothing_that_people_read_has_these_words():
    used, wrong = set(), []
    for path, line, text in texts():
        name = path.relative_to(ROOT).as_posix()
        for found, better in found_in(text):
            if (name, found.group()) in ALLOWED:
                used.add((name, found.group()))
            else:
                at = line + text.count("\n", 0, found.start())
                wrong.append(f"{name}:{at}: {found.group()!r}; better: {better}")
    assert not wrong, "\n".join(wrong)
    assert used == set(ALLOWED)  # and nothing is allowed that is no longer there


@pytest.mark.parametrize(
    "text",
    [
        "# told apart",
        "a store of\n    late",
        "# of\n    # late",
        "prove the file whole",
        "whole /28s",
    ],
)
def test_the_words_are_found(text):
    assert list(found_in(text))


@pytest.mark.parametrize(
    "text", ["a whole fleet", "besides", "untold_count", "a late one", "`told` it"]
)
def test_other_words_are_not(text):
    assert not list(found_in(text))


def test_texts_are_told_from_code():
    assert list(of_python('told = 1  # a count\nbeside(told, "to")\n')) == [
        (1, "# a count"),
        (2, '"to"'),
    ]
    assert list(of_cython('x = told  # one\n"""Of\nlate"""\n')) == [
        (1, "# one"),
        (2, '"""Of\nlate"""'),
    ]
