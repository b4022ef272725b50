"""`configuration_values` in Terraform's own language: jsonencode({...}), a heredoc or a string.

Only literal values are read: a reference to a variable or a function has no value here, and is
refused as the value of an agent's variable.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ipam_core.errors import InputError
from ipam_core.manifests.values import configuration

_START = re.compile(r"^[^#\n]*?\bconfiguration_values\s*=\s*", re.MULTILINE)
_ADDON = re.compile(r"addon_name\s*=\s*\"(?P<attribute>[^\"]+)\"|\"?(?P<key>[\w-]+)\"?\s*=\s*\{")
_HEREDOC = re.compile(r"<<[-~]?(?P<mark>\w+)\n(?P<body>.*?)\n\s*(?P=mark)\b", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*|//[^\n]*|/\*.*?\*/)+)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<number>-?[0-9]+(?:\.[0-9]+)?)
    |(?P<word>[A-Za-z_][\w.\[\]*-]*)
    |(?P<sign>[{}\[\]()=:,?<>!&|+*/%-])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"true": True, "false": False, "null": None}
_DEPTH = 40


def is_terraform(text: str) -> bool:
    """Return whether a text is Terraform's language with an add-on's configuration in it."""
    return text.lstrip()[:1] not in ("{", "[") and _START.search(text) is not None


def read_terraform(text: str) -> dict[str, Any]:
    """Return the literal configuration of the one add-on vpc-cni in the text.

    Raises:
        InputError: no or several such configurations, or one that is not literal.
    """
    found = [match for match in _START.finditer(text) if _is_cni(text[: match.start()])]
    if len(found) != 1:
        raise InputError(f"{len(found)} configuration_values of the add-on vpc-cni: one is needed")
    rest = text[found[0].end() :]
    if heredoc := _HEREDOC.match(rest):
        return configuration(heredoc["body"], "configuration_values")
    function = re.match(r"(?:jsonencode|yamlencode)\s*\(", rest)
    value = _Reader(rest[function.end() if function else 0 :]).value()
    if isinstance(value, str) and not function:
        return configuration(value, "configuration_values")
    if not isinstance(value, dict):
        raise InputError("configuration_values: not written out; give its value as JSON")
    return value


def _is_cni(before: str) -> bool:
    """Return whether the block that is open at the end of `before` is of the add-on vpc-cni."""
    named = list(_ADDON.finditer(before))
    keys = [each["attribute"] or each["key"] for each in named]
    addons = [key for key in keys if key == "vpc-cni" or key in _OTHER_ADDONS]
    return not addons or addons[-1] == "vpc-cni"


_OTHER_ADDONS = frozenset(
    [
        "coredns",
        "kube-proxy",
        "aws-ebs-csi-driver",
        "aws-efs-csi-driver",
        "eks-pod-identity-agent",
        "snapshot-controller",
        "metrics-server",
        "adot",
        "amazon-cloudwatch-observability",
        "aws-mountpoint-s3-csi-driver",
        "aws-guardduty-agent",
    ]
)


class _Reader:
    """Reads one value of the language from the start of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def value(self, depth: int = 0) -> Any:
        """Return the value; a reference is refused."""
        kind, token = self._next()
        if kind == "string":
            try:
                text = json.loads(token.replace("\n", "\\n"))
            except ValueError as error:
                raise InputError(f"configuration_values: {token}: {error}") from None
            if "${" in text:
                raise _not_written_out(text)
            return text
        if kind == "number":
            return json.loads(token)
        if kind == "word" and token in _WORDS:
            return _WORDS[token]
        if token == "{" and depth < _DEPTH:
            return self._mapping(depth)
        if token == "[" and depth < _DEPTH:
            return self._list(depth)
        if kind == "word" and token in ("tostring", "jsonencode") and self._take("("):
            value = self.value(depth + 1)
            self._take(")")
            return value if isinstance(value, str) else json.dumps(value)
        raise _not_written_out(token)

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self._take("}"):
            kind, key = self._next()
            if kind not in ("word", "string"):
                raise _not_written_out(key)
            if not (self._take("=") or self._take(":")):
                raise _not_written_out(key)
            found[key.strip('"')] = self.value(depth + 1)
            self._take(",")
        return found

    def _list(self, depth: int) -> list[Any]:
        found = []
        while not self._take("]"):
            found.append(self.value(depth + 1))
            self._take(",")
        return found

    def _take(self, sign: str) -> bool:
        """Skip a sign if it is the next token."""
        at = self._at
        if self._next()[1] == sign:
            return True
        self._at = at
        return False

    def _next(self) -> tuple[str, str]:
        while match := _TOKEN.match(self._text, self._at):
            self._at = match.end()
            if match.lastgroup != "space":
                return match.lastgroup or "", match[0]
        raise InputError("configuration_values: it does not end, or is not Terraform's language")


def _not_written_out(token: str) -> InputError:
    return InputError(
        f"configuration_values: {token[:60]!r} is not written out; give the value as JSON "
        "(terraform console, or 'aws eks describe-addon')"
    )
