"""Small inputs that would become large: refused in one line that says the bound, at once."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time
import tracemalloc

import pytest

from ipam_core import documents, unpacking
from ipam_core.documents import load_documents, load_json, text_of
from ipam_core.errors import InputError
from ipam_core.unpacking import DAMAGE, Unpacker

NINES = ",".join(["x"] * 9)


def bomb(depth):
    """Return YAML in which each line names nine times the one before."""
    lines = (f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth))
    return "\n".join([f"a0: &a0 [{NINES}]", *lines, ""])


@pytest.mark.parametrize("depth", [7, 12, 50])
def test_an_alias_bomb_is_refused_before_it_is_built(depth):
    started = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(InputError, match="more than 500,000 values"):
        load_documents(bomb(depth))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20
    assert time.perf_counter() - started < 2


def test_what_an_alias_names_counts_each_time_it_is_named(monkeypatch):
    monkeypatch.setattr(documents, "MOST_YAML_VALUES", 20)
    text = "a: &a [1, 2, 3]\nb: *a\nc: *a\n"  # 1 mapping, 3 keys, 3 lists of 3
    assert load_documents(text) == [{name: [1, 2, 3] for name in "abc"}]
    with pytest.raises(InputError, match="more than 20 values"):
        load_documents(text + "d: *a\n")
    # An anchor of one document is none of the next.
    with pytest.raises(InputError, match="undefined alias"):
        load_documents("a: &a 1\n---\nb: *a\n")


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: {c: [*a]}}"])
def test_an_alias_inside_what_it_names_is_refused(text):
    with pytest.raises(InputError, match="alias 'a' is inside what it names"):
        load_documents(text)


def test_a_document_of_very_many_small_values_is_refused_before_it_is_built():
    text = "[" + ",".join(["{}"] * 3_000_000) + "]"
    tracemalloc.start()
    with pytest.raises(InputError, match="more than 4,000,000 values"):
        load_json(text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20


@pytest.mark.parametrize("opened", ['{"a":', "[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("depth", [documents.DEEPEST + 1, 100_000])
def test_deep_nesting_is_refused(opened, depth):
    closed = {"[": "]", "{": "}"}.get(opened[0], "")
    with pytest.raises(InputError, match="deeper than 64 levels"):
        load_documents(opened * depth + "1" + closed * depth)


@pytest.mark.parametrize("opened", ['{"a":', "[", "{a: ", "- "])
def test_nesting_that_is_allowed_is_read(opened):
    depth = documents.DEEPEST
    closed = {"[": "]", "{": "}"}.get(opened[0], "")
    (document,) = load_documents(opened * depth + "1" + closed * depth)
    for _ in range(depth):
        (document,) = document.values() if isinstance(document, dict) else document
    assert document == 1


@pytest.mark.parametrize("text", ["[" + "9" * 5000 + "]", "a: " + "9" * 5000])
def test_a_number_of_very_many_digits_is_refused(text):
    with pytest.raises(InputError, match="4300 digits"):
        load_documents(text)


def test_a_text_is_read_up_to_its_bound_and_no_further():
    stream = io.BytesIO(b"x" * 1000)
    with pytest.raises(InputError, match="larger than 0 MiB"):
        text_of(stream, 100)
    assert stream.tell() == 101
    assert text_of(io.BytesIO(b"\xef\xbb\xbfa"), 100) == "a"
    with pytest.raises(InputError, match="not UTF-8 text at byte 1"):
        text_of(io.BytesIO(b"a\xff"))


# --- streams and archives -------------------------------------------------------------------


def archive(*members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as written:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            written.addfile(header, io.BytesIO(content))
    return raw.getvalue()


def read_all(content):
    return [(name, member.read()) for name, member in Unpacker().members(io.BytesIO(content))]


def test_what_an_unpacker_gives_out_is_bounded_over_all_that_is_in_each_other(monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_BYTES", 4000)
    inner = gzip.compress(bytes(3000))
    outer = gzip.compress(inner + bytes(500))
    assert len(Unpacker().unzipped(io.BytesIO(gzip.compress(bytes(4000)))).read()) == 4000
    unpacker = Unpacker()
    with pytest.raises(InputError, match="unpacks to more than"):
        unpacker.unzipped(io.BytesIO(gzip.compress(bytes(4001)))).read()
    unpacker = Unpacker()
    packed = unpacker.unzipped(io.BytesIO(outer)).read()
    assert len(unpacker.unzipped(io.BytesIO(packed[: len(inner)])).read()) == 3000
    with pytest.raises(InputError, match="unpacks to more than"):
        unpacker.unzipped(io.BytesIO(gzip.compress(bytes(1000)))).read()


def test_members_are_read_one_by_one_and_their_number_is_bounded(monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 3)
    members = [(f"m{n}", bytes([n]) * n) for n in range(4)]
    assert read_all(archive(*members[:3])) == members[:3]
    with pytest.raises(InputError, match="more than 3 members"):
        read_all(archive(*members))


def test_a_header_that_asks_for_much_memory_is_refused():
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    with pytest.raises(tarfile.ReadError, match=f"a header of {1 << 33} bytes"):
        read_all(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def test_headers_that_describe_each_other_without_end_are_refused():
    body = b"11 path=aa\n"
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(body)
    one = header.tobuf(tarfile.USTAR_FORMAT) + body.ljust(512, b"\0")
    with pytest.raises(tarfile.ReadError):
        read_all(one * 5000)


def test_a_sparse_member_of_a_claimed_size_is_passed_over():
    header = tarfile.TarInfo("holes")
    header.size = 1 << 50
    raw = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    raw[156:157] = tarfile.GNUTYPE_SPARSE
    raw[124:136] = b"00000000000\0"
    raw[483:495] = b"\x80" + (1 << 50).to_bytes(11, "big")
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw):06o}\0 ".encode()
    assert read_all(bytes(raw) + archive(("a", b"1"))) == [("a", b"1")]


@pytest.mark.parametrize("cut_at", [512 + 512, 512 + 512 + 100])
def test_an_archive_that_is_cut_off_is_not_taken_for_a_shorter_one(cut_at):
    content = archive(("a", b"1"), ("b", b"2"))
    with pytest.raises(DAMAGE):
        read_all(content[:cut_at])


def test_an_archive_with_a_damaged_header_is_not_taken_for_a_shorter_one():
    content = bytearray(archive(("a", b"1"), ("b", b"2")))
    content[1024 + 3] ^= 1
    with pytest.raises(DAMAGE):
        read_all(bytes(content))


def test_a_small_gzip_of_many_small_values_is_refused_by_the_doctor(tmp_path, capsys):
    from ipam_core.cli._app import run

    text = json.dumps({"ENIs": {"eni-1": {"AvailableIPv4Cidrs": {}}}, "z": [{}] * 2_500_000})
    file = tmp_path / "enis.json.gz"
    file.write_bytes(gzip.compress(text.encode()))
    assert run(["doctor", str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "more than 4,000,000 values" in line
