"""Every input in every form, damaged ones too: read as far as it goes, or one clear error."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Source
from ipam_core.diagnosis.inputs.collect import read_case, total_bytes
from ipam_core.diagnosis.inputs.log import LONGEST_LINE
from ipam_core.errors import DeniedError, InputError, SubnetFullError, ThrottledError
from ipam_core.ipamd.introspection import enis_document
from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.player import Player

HERE = Path(__file__).parent
CASES = HERE / "cases"
EXAMPLE = HERE.parent.parent / "examples" / "stuck-node"


def line(ts, msg):
    fields = {"level": "debug", "ts": ts, "caller": "ipamd/ipamd.go:1", "msg": msg}
    return json.dumps(fields) + "\n"


def stats(ts, total, assigned):
    text = f"IP stats for Network Card 0 - total IPs: {total}, assigned IPs: {assigned}"
    return line(ts, f"{text}, cooldown IPs: 0")


# --- /v1/enis ---------------------------------------------------------------------------


def test_todays_form_of_our_own_node_is_read(tmp_path):
    """What `introspection` writes, from the agent's source, is what doctor reads."""
    enis = [
        {"role": "primary", "name": "eni-a", "ips": [3, 2]},
        {"role": "trunk", "name": "eni-t"},
        {"role": "secondary", "name": "eni-b", "prefixes": [5, 0], "excluded": True},
    ]
    player = Player(
        scenario_of({"instance_type": "m5.large", "steps": [{"op": "state", "enis": enis}]})
    )
    player.play()
    document = enis_document(player.node.stores, datetime(2026, 1, 1, tzinfo=UTC))
    (tmp_path / "eni.out").write_text(json.dumps(document))
    (card,) = read_case([tmp_path]).state.cards.values()
    assert [(eni.eni_id, eni.primary, eni.trunk, eni.excluded) for eni in card] == [
        ("eni-a", True, False, False),
        ("eni-t", False, True, False),
        ("eni-b", False, False, True),
    ]
    assert [len(cidr.pods) for cidr in card[0].cidrs] == [1, 1, 0]
    assert [(cidr.is_prefix, len(cidr.pods)) for cidr in card[2].cidrs] == [(True, 5), (True, 0)]


@pytest.mark.parametrize("form", ["enis-flat", "enis-pools"])
def test_older_forms_hold_the_same_node(form):
    today = read_case([EXAMPLE / "eni.out"]).state.cards[0]
    older = read_case([CASES / form / "eni.out"]).state.cards[0]
    assert [(eni.eni_id, eni.primary) for eni in older] == [
        (eni.eni_id, eni.primary) for eni in today
    ]
    assert [(cidr.cidr, len(cidr.pods)) for eni in older for cidr in eni.cidrs] == [
        (cidr.cidr, len(cidr.pods)) for eni in today for cidr in eni.cidrs
    ]


def test_two_states_of_a_node_are_noted_and_the_newer_is_taken(tmp_path):
    text = (EXAMPLE / "eni.out").read_text()
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.json").write_text(text.replace("2026-03-12", "2026-03-10"))
    case = read_case([tmp_path])
    assert case.state.evidence.file == "a.json"
    assert case.notes == ["b.json: another state of a node; not used"]


# --- ipamd.log --------------------------------------------------------------------------


def test_latest_line_counts_whatever_the_order_of_the_files(tmp_path):
    """Rotated logs are named so that they sort before or after; the time decides."""
    (tmp_path / "a.log").write_text(stats("2026-03-12T02:00:00.000Z", 50, 40))
    (tmp_path / "b.log").write_text(stats("2026-03-11T02:00:00.000Z", 30, 30))
    (tmp_path / "c.log.gz").write_bytes(
        gzip.compress(stats("2026-03-10T02:00:00.000Z", 10, 10).encode())
    )
    case = read_case([tmp_path])
    assert (case.log.pool[0][0].total, case.log.n_lines) == (50, 3)
    assert case.newest[Source.LOG] == datetime(2026, 3, 12, 2, tzinfo=UTC)


def test_broken_lines_are_counted_and_passed_over(tmp_path):
    good = stats("2026-03-12T02:00:00.000Z", 5, 5)
    broken = ['{"level":"debug","ts":"2026', "not JSON", '{"msg": 5}', "[]", "\0" * 100]
    (tmp_path / "ipamd.log").write_text(good + "\n".join(broken) + "\n\n" + good)
    log = read_case([tmp_path / "ipamd.log"]).log
    assert (log.n_lines, log.n_broken) == (7, 5)
    assert log.pool[0][1].line == 8


def test_endless_line_is_cut_so_that_memory_is_bounded(tmp_path):
    good = stats("2026-03-12T02:00:00.000Z", 5, 5).encode()
    (tmp_path / "ipamd.log").write_bytes(good + b"x" * (3 * LONGEST_LINE) + b"\n" + good)
    log = read_case([tmp_path / "ipamd.log"]).log
    assert (log.n_lines, log.n_broken) == (5, 3)


@pytest.mark.parametrize("total", ["99999999999", "131073"])
def test_a_pool_that_no_node_has_is_a_broken_line(total, tmp_path):
    """Else what is made of the counts would fill the memory."""
    good = stats("2026-03-12T02:00:00.000Z", 5, 5)
    (tmp_path / "ipamd.log").write_text(good + stats("2026-03-12T03:00:00.000Z", total, 1))
    (tmp_path / "metrics.out").write_text(
        f"awscni_total_ip_addresses {total}\nawscni_assigned_ip_addresses 1e300\n"
    )
    case = read_case([tmp_path])
    assert (case.log.n_broken, case.log.pool[0][0].total) == (1, 5)
    assert case.metrics == {}


def test_number_of_thousands_of_digits_is_a_broken_line(tmp_path):
    good = stats("2026-03-12T02:00:00.000Z", 5, 5)
    (tmp_path / "ipamd.log").write_text(good + stats("2026-03-12T03:00:00.000Z", "9" * 5000, 1))
    log = read_case([tmp_path / "ipamd.log"]).log
    assert (log.n_broken, log.pool[0][0].total) == (1, 5)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        # aws-sdk-go v1, as in PR 1773 of the agent, and v2, as in cilium issue 36428
        (
            (
                "InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free "
                "addresses to satisfy the request.\n\tstatus code: 400, request id: aeac321e"
            ),
            SubnetFullError,
            "InsufficientFreeAddressesInSubnet",
        ),
        (
            (
                "operation error EC2: AssignPrivateIpAddresses, https response error "
                "StatusCode: 503, "
                "RequestID: b7, api error RequestLimitExceeded: Request limit exceeded."
            ),
            ThrottledError,
            "RequestLimitExceeded",
        ),
        (
            (
                "operation error EC2: AssignPrivateIpAddresses, https response error "
                "StatusCode: 403, "
                "RequestID: b7, api error UnauthorizedOperation: You are not authorized: nothing"
            ),
            DeniedError,
            "UnauthorizedOperation",
        ),
        (
            (
                "operation error EC2: CreateNetworkInterface, api error InvalidParameterValue: "
                "There aren't sufficient free Ipv4 addresses or prefixes"
            ),
            SubnetFullError,
            "InvalidParameterValue",
        ),
    ],
)
def test_error_codes_of_both_sdks(error, kind, code, tmp_path):
    text = f"Failed to allocate a private IP/Prefix addresses on ENI eni-1: {error}"
    (tmp_path / "ipamd.log").write_text(line("2026-03-12T02:00:00.000Z", text))
    (failure,) = read_case([tmp_path]).log_failures.seen.values()
    assert (failure.api, failure.code, failure.kind) == ("AssignPrivateIpAddresses", code, kind)


def test_log_of_the_cni_plugin_is_not_the_agents(tmp_path):
    """plugin.log lies next to ipamd.log in every bundle, and has the same form."""
    text = line("2026-03-12T09:00:00.000Z", "Received CNI add request")
    text = text.replace("ipamd/ipamd.go:1", "routed-eni-cni-plugin/cni.go:126")
    (tmp_path / "plugin.log").write_text(text)
    (tmp_path / "ipamd.log").write_text(stats("2026-03-12T02:00:00.000Z", 5, 5))
    case = read_case([tmp_path])
    assert case.files == [("ipamd.log", "log"), ("plugin.log", "plugin log")]
    assert case.newest[Source.LOG] == datetime(2026, 3, 12, 2, tzinfo=UTC)
    assert case.log.n_lines == 1


# --- CloudTrail and events ------------------------------------------------------------------


def test_both_forms_of_cloudtrail_hold_the_same(tmp_path):
    events = json.loads((CASES / "missing-permission" / "trail.json").read_text())["Events"]
    records = [json.loads(event["CloudTrailEvent"]) for event in events]
    (tmp_path / "delivered.json.gz").write_bytes(
        gzip.compress(json.dumps({"Records": records}).encode())
    )
    one = read_case([tmp_path])
    other = read_case([CASES / "missing-permission" / "trail.json"])
    assert list(one.trail.seen) == list(other.trail.seen)
    assert set(one.roles.values()) == set(other.roles.values()) == {"eks-node-role"}


def test_pod_that_started_since_waits_no_more(tmp_path):
    document = json.loads((EXAMPLE / "events.json").read_text())
    refused = document["items"][-1]
    started = dict(refused, reason="Started", message="", lastTimestamp="2026-03-12T03:09:00Z")
    (tmp_path / "events.json").write_text(json.dumps({"items": [started, *document["items"]]}))
    case = read_case([tmp_path])
    assert not any(case.events.refused.values())


# --- bundles ------------------------------------------------------------------------------


def bundle(path, files, *, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for member, content in files:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)  # noqa: PLW2901
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_bundle_is_read_like_its_directory(mode, tmp_path):
    """As aws-cni-support makes it: logs, rotated and gzipped, next to much else."""
    files = [(f"var/log/aws-routed-eni/{p.name}", p.read_bytes()) for p in EXAMPLE.iterdir()]
    files += [("var/log/messages", b"Mar 12 kernel: hello\n" * 50), ("iptables.out", b"*nat\n")]
    case = read_case([bundle(tmp_path / "aws-cni-support.tar.gz", files, mode=mode)])
    beside = read_case([EXAMPLE])
    assert {kind for _, kind in case.files} == {kind for _, kind in beside.files}
    assert case.log.n_lines == beside.log.n_lines
    assert case.state.cards == beside.state.cards


def test_evil_members_are_passed_over_and_nothing_is_written(tmp_path):
    """Links, devices and paths that climb: an archive comes from a node that may be broken into."""
    evil = []
    for name, kind, target in (
        ("passwd", tarfile.SYMTYPE, "/etc/passwd"),
        ("hard", tarfile.LNKTYPE, "../../eni.out"),
        ("zero", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
    ):
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        evil.append((member, b""))
    climbing = ("../../../../tmp/climbed.out", (EXAMPLE / "eni.out").read_bytes())
    path = bundle(tmp_path / "b.tar.gz", [*evil, climbing])
    before = sorted(tmp_path.rglob("*"))
    case = read_case([path])
    assert case.files == [("../../../../tmp/climbed.out", "ENIs")]
    assert sorted(tmp_path.rglob("*")) == before


def test_links_in_a_directory_are_not_followed(tmp_path):
    (tmp_path / "eni.out").write_bytes((EXAMPLE / "eni.out").read_bytes())
    (tmp_path / "outside").symlink_to(EXAMPLE / "aws-node.yaml")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert read_case([tmp_path]).files == [("eni.out", "ENIs")]


def test_truncated_archive_gives_what_was_before_the_damage(tmp_path):
    files = [(p.name, p.read_bytes()) for p in sorted(EXAMPLE.iterdir())]
    whole = bundle(tmp_path / "b.tar.gz", files).read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: len(whole) * 3 // 4])
    case = read_case([tmp_path / "b.tar.gz"])
    assert case.files
    assert any("damaged" in each.why for each in case.unread)


def test_archives_in_archives_in_archives_end(tmp_path):
    inner = bundle(tmp_path / "0.tar.gz", [("eni.out", (EXAMPLE / "eni.out").read_bytes())])
    for depth in range(1, 5):
        inner = bundle(tmp_path / f"{depth}.tar.gz", [("inner.tar.gz", inner.read_bytes())])
    with pytest.raises(InputError, match="not recognised"):
        read_case([inner])


def test_advance_is_told_of_every_byte():
    seen = []
    read_case([EXAMPLE], seen.append)
    assert sum(seen) == total_bytes([EXAMPLE])


# --- what is not an input --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not recognised"),
        (b"hello", "not recognised"),
        (b"{}", "not recognised"),
        (b'{"0": {"TotalIPs": 3, "ENIs": {"eni-1": {"AvailableIPv4Cidrs": [', "damaged JSON"),
        (b'{"0": {"ENIs": {"eni-1": {"AvailableIPv4Cidrs": {"x": {}}}}}}', "not an IPv4 CIDR"),
        (b'{"0": {"ENIs": {"eni-1": 7}}}', "eni-1 is a mapping, not 7"),
        (b'{"Records": [{"eventSource": "ec2.amazonaws.com", "userIdentity": 5}]}', "userIdentity"),
        (b"\x1f\x8b\x08\x00rubbish", "damaged"),
        (b"\xff\xfe{\x00", "not recognised"),
        (b"[" * 100_000, "nested deeper than 64 levels"),
        (b"kind: DaemonSet\nspec: [", "neither JSON nor YAML"),
        (b"kind: DaemonSet\nmetadata: {name: other}\n", "0 DaemonSets"),
    ],
)
def test_named_file_that_is_no_input_is_one_clear_error(content, says, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_case([tmp_path / "file"])


def test_damaged_file_in_a_directory_is_noted_and_the_others_read(tmp_path):
    whole = (EXAMPLE / "eni.out").read_text()
    (tmp_path / "a.out").write_text(whole[: len(whole) // 2])
    (tmp_path / "b.out").write_text(whole)
    case = read_case([tmp_path])
    assert case.files == [("b.out", "ENIs")]
    assert str(case.unread[0]).startswith("a.out: not read: damaged JSON")


def test_empty_directory_is_an_error(tmp_path):
    with pytest.raises(InputError, match="nothing recognised"):
        read_case([tmp_path])


ORIGINALS = [
    path.read_bytes()
    for path in sorted([*EXAMPLE.iterdir(), *CASES.glob("throttled/*"), *CASES.glob("missing-*/*")])
]


@given(
    st.sampled_from(ORIGINALS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 40)), max_size=6),
)
def test_damage_never_breaks_the_reader(tmp_path_factory, original, edits):
    """Bytes are replaced, put in and cut out: the answer is a case or an InputError."""
    content = bytearray(original)
    for place, put_in, n_cut in edits:
        at = int(place * len(content))
        content[at : at + n_cut] = put_in
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert read_case([path]).files


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-12T02:58:00.000Z", datetime(2026, 3, 12, 2, 58, tzinfo=UTC)),
        ("2026-03-12T02:58:00.000+0000", datetime(2026, 3, 12, 2, 58, tzinfo=UTC)),
        ("2026-03-12T02:58:00.123456789Z", datetime(2026, 3, 12, 2, 58, 0, 123456, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        (17, None),
    ],
)
def test_times_of_go_and_zap(written, read):
    assert dig.time(written) == read
