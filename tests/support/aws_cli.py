"""The AWS CLI: many commands in one process of it, as each start takes a second of CPU.

Also what its own documents show: the output of each example that it ships.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_WORKER = """
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
driver = create_clidriver()
for line in sys.stdin:
    command = json.loads(line)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = driver.main(command)
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([status, out.getvalue(), err.getvalue()]), flush=True)
    if command[1].startswith("modify-"):  # its handlers stay, and break later commands
        driver = create_clidriver()
"""


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out) if self.out.strip() else None

    @property
    def code(self):
        """EC2's code, where the command failed with one."""
        found = re.search(r"An error occurred \((\S+)\) when calling the (\S+) operation", self.err)
        return found.group(1) if found else None


class AwsCli:
    """The AWS CLI against a served VPC, while it is entered."""

    def __init__(self, environ, home):
        self._environ = environment(environ, home)

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environ,
        )
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)

    def __call__(self, command):
        """Run one command, as `ec2 describe-vpcs --max-items 1`."""
        print(json.dumps(shlex.split(command)), file=self._process.stdin, flush=True)
        return Answer(*json.loads(self._process.stdout.readline()))


def environment(environ, home):
    """Return the environment of a CLI that knows nothing but a served VPC."""
    settings = {
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(home / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "none"),
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
        "PATH": os.environ.get("PATH", ""),
    }
    return {**environ, **settings}


# --- what it documents ---------------------------------------------------------------------


@cache
def documented(service, command):
    """Return the outputs that the CLI's own examples of a command show."""
    home = Path(find_spec("awscli").origin).parent
    text = (home / "examples" / service / f"{command}.rst").read_text("utf-8")
    found = []
    for block in re.findall(r"^( *)\{\n(.*?)^\1\}", text, re.M | re.S):
        try:
            found.append(json.loads("{" + block[1] + "}"))
        except json.JSONDecodeError:  # an example with comments or what was left out
            continue
    return found


def shape_of(value, where=""):
    """Return each place of a document and the kind of JSON that is there."""
    if isinstance(value, dict):
        found = {where: "object"}
        for name, each in value.items():
            found |= shape_of(each, f"{where}.{name}")
        return found
    if isinstance(value, list):
        found = {where: "list"}
        for each in value:
            found |= shape_of(each, f"{where}[]")
        return found
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", type(None): "null"}
    return {where: kinds[type(value)]}
