"""The frame's words, and how words are kept: each in English and Korean."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES = ("en", "ko")

FRAME = {
    "parts": ("Parts", "화면"),
    "other": ("한국어", "English"),
    "theme": ("Theme", "화면 색"),
    "system": ("System", "시스템"),
    "light": ("Light", "밝게"),
    "dark": ("Dark", "어둡게"),
    "copy": ("Copy", "복사"),
    "copied": ("Copied", "복사됨"),
}


def language_of(query: str) -> str:
    """Return the language that the query of a link asks for: `en` unless it is `ko`."""
    asked = parse_qs(query).get("lang", [""])[-1]
    return asked if asked in LANGUAGES else "en"


def words_in(language: str, words: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return words in `en` or `ko`, and those of the frame."""
    column = LANGUAGES.index(language)
    return {name: texts[column] for name, texts in {**FRAME, **words}.items()}
