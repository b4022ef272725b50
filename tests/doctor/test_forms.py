"""Every form in which operators have a file is read as the plain one is."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import tarfile
import zipfile

import pytest

from ipam_core.cli._app import run
from ipam_core.diagnosis.inputs.collect import read_case
from ipam_core.errors import InputError
from support.node_files import found, log, state

STALL = ("minimum-only stall", "certain")


def console(line):
    fields = json.loads(line)
    return f"{fields['ts']} [INFO]\t{fields['msg']}"


LINE_FORMS = {
    "grep -n": lambda n, line: f"{n}:{line}",
    "grep -r": lambda n, line: f"/var/log/aws-routed-eni/ipamd.log:{n}:{line}",
    "CRI": lambda n, line: f"2026-03-12T02:58:15.123456789Z stdout F {line}",
    "kubectl --prefix": lambda n, line: f"[pod/aws-node-8kx2p/aws-node] {line}",
    "kubectl --timestamps": lambda n, line: f"2026-03-12T02:58:15.123456789Z {line}",
    "journald": lambda n, line: f"Mar 12 02:58:15 ip-10-0-12-34 aws-node[4711]: {line}",
    "docker": lambda n, line: json.dumps(
        {"log": line + "\n", "stream": "stdout", "time": "2026-03-12T02:58:15Z"}
    ),
    "fluent-bit": lambda n, line: f'[{n}] ipamd.log: [[1690979899.4, {{}}], {{"log"=>"{line}"}}]',
    "fluent-bit JSON": lambda n, line: json.dumps({"date": 1.5, "log": line}),
    "CloudWatch text": lambda n, line: f"2026-03-12T02:58:15.000Z\t{line}",
    "CloudWatch JSON": lambda n, line: json.dumps({"timestamp": 1, "message": line}),
    "journald JSON": lambda n, line: json.dumps({"PRIORITY": "6", "MESSAGE": line}),
    "Windows": lambda n, line: f"{line}\r",
    "console": lambda n, line: console(line),
    "console, CRI": lambda n, line: f"2026-03-12T02:58:15Z stderr F {console(line)}",
    "console, grep -n": lambda n, line: f"{n}:{console(line)}",
}


@pytest.mark.parametrize("form", LINE_FORMS)
def test_what_stands_around_a_line_is_passed_over(form, lines, tmp_path):
    text = "\n".join(LINE_FORMS[form](n, line) for n, line in enumerate(lines, 1))
    (tmp_path / "some.txt").write_text(text + "\n", newline="")
    case = read_case([tmp_path])
    assert case.log.n_broken == 0
    assert case.files == [("some.txt", "log")]
    assert found(tmp_path) == [STALL]


@pytest.mark.parametrize(
    "export",
    [
        lambda rows: {"events": [{"timestamp": 1, "message": row} for row in rows]},
        lambda rows: {"results": [[{"field": "@message", "value": row}] for row in rows]},
        lambda rows: [{"@timestamp": "x", "@message": row} for row in rows],
    ],
    ids=["get-log-events", "query results", "console's export"],
)
def test_a_cloudwatch_export_is_a_log(export, lines, tmp_path):
    (tmp_path / "export.json").write_text(json.dumps(export(lines), indent=1))
    assert found(tmp_path) == [STALL]


def test_the_second_line_of_an_aws_error_is_no_broken_line(tmp_path):
    text = (
        "2019-07-30T15:31:50Z [INFO]\tStarting L-IPAMD v1.5.1  ...\n"
        "2019-07-30T15:31:53Z [ERROR]\tFailed to CreateNetworkInterface UnauthorizedOperation: no\n"
        "\tstatus code: 403, request id: 1\n"
    )
    (tmp_path / "ipamd.log").write_text(text)
    case = read_case([tmp_path])
    assert case.log.n_broken == 0
    assert list(case.log_failures.seen) == [("CreateNetworkInterface", "UnauthorizedOperation", "")]


# --- bytes ---------------------------------------------------------------------------------------


def packed(kind, name, content):
    raw = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"node/{name}", content)
        return raw.getvalue()
    with tarfile.open(fileobj=raw, mode=f"w:{kind}") as archive:
        member = tarfile.TarInfo(f"node/{name}")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return raw.getvalue()


@pytest.mark.parametrize("kind", ["zip", "gz", "xz", "bz2"])
def test_archives(kind, lines, tmp_path):
    content = packed(kind, "ipamd.log", "\n".join(lines).encode())
    (tmp_path / f"bundle.{kind}").write_bytes(content)
    assert found(tmp_path) == [STALL]


@pytest.mark.parametrize("kind", ["zip", "gz", "xz", "bz2"])
def test_a_damaged_archive_is_named(kind, lines, tmp_path):
    content = packed(kind, "ipamd.log", "\n".join(lines * 20).encode())
    (tmp_path / "bundle").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InputError, match="damaged"):
        read_case([tmp_path / "bundle"])


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_logs(pack, lines, tmp_path):
    (tmp_path / "ipamd.log.1").write_bytes(pack("\n".join(lines).encode()))
    assert found(tmp_path) == [STALL]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_and_utf_16(encoding, lines, tmp_path):
    """PowerShell's `>` writes UTF-16, its `Out-File -Encoding utf8` a byte order mark."""
    (tmp_path / "ipamd.log").write_bytes("\r\n".join(lines).encode(encoding))
    assert found(tmp_path) == [STALL]
    (tmp_path / "ipamd.log").unlink()
    state(tmp_path, [])
    text = (tmp_path / "eni.out").read_text()
    (tmp_path / "eni.out").write_bytes(text.encode(encoding))
    assert read_case([tmp_path]).state is not None


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(pack, lines, monkeypatch, capsys):
    content = pack("\n".join(lines).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(["doctor", "-"]) == 1
    assert "the pool stopped at 9 addresses" in capsys.readouterr().out


def test_a_password_is_named_and_what_to_do(tmp_path):
    content = bytearray(packed("zip", "ipamd.log", b"x"))
    for at in (6, content.index(b"PK\1\2") + 8):
        content[at] |= 1  # the bit that says: encrypted
    (tmp_path / "bundle.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"bundle\.zip/node/ipamd\.log: not read: .*unpack it"):
        read_case([tmp_path])


@pytest.mark.parametrize(
    ("head", "says"),
    [(b"\x28\xb5\x2f\xfd", "zstd -d"), (b"%PDF-1.7", "PDF"), (b"<!DOCTYPE html>", "web page")],
)
def test_what_is_not_read_is_named_with_how_to_get_it_readable(head, says, lines, tmp_path, capsys):
    (tmp_path / "ipamd.log.1").write_bytes(head + b"x" * 100)
    with pytest.raises(InputError, match=says):
        read_case([tmp_path / "ipamd.log.1"])
    log(tmp_path, pool=[(9, 3, 0)])
    assert run(["doctor", str(tmp_path)]) == 1  # a log that is not read may hold the cause
    out = capsys.readouterr().out
    assert "Cannot tell: ipamd.log.1: not read:" in out
    assert says in " ".join(out.split())


# --- JSON among other things ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "around",
    [
        "[root@ip-10-0-12-34 ~]# curl localhost:61679/v1/enis\n{}\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
        "  % Total    % Received % Xferd\n100  4096  100  4096    0     0   4000k{}[root@x ~]# ",
        "$ curl -s localhost:61679/v1/enis | tee x\n\n{}\n$ exit\n",
        "\ufeff{}",
    ],
    ids=["prompt", "headers", "progress", "both ends", "byte order mark"],
)
def test_json_among_what_a_terminal_shows(around, tmp_path):
    state(tmp_path, [{"ID": "eni-a", "IsPrimary": True, "AvailableIPv4Cidrs": {}}])
    text = (tmp_path / "eni.out").read_text()
    (tmp_path / "eni.out").write_text(around.replace("{}", text))
    assert [each.eni_id for each in read_case([tmp_path]).state.cards[0]] == ["eni-a"]


def test_several_documents_in_one_file(tmp_path):
    """The EKS log collector appends; people paste one answer after the other."""
    state(tmp_path, [])
    text = (tmp_path / "eni.out").read_text()
    settings = '{"WARM_IP_TARGET": 3}'
    (tmp_path / "eni.out").write_text(f'{text}\n{settings}\n{{"x": 1}}\n')
    case = read_case([tmp_path])
    assert case.files == [("eni.out", "ENIs"), ("eni.out", "settings")]
    assert case.endpoint["WARM_IP_TARGET"].value == "3"
