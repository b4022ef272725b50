"""Whatever comes to the metadata and control endpoints is answered, and nothing is raised."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipam_core.endpoint.control import Control
from ipam_core.endpoint.file import vpc_of
from ipam_core.endpoint.imds import TOKEN, TTL, MetadataService
from ipam_core.endpoint.listen import Request
from ipam_core.endpoint.served import APIS, open_vpc
from support.soak import examples

pytest.importorskip("boto3")
WORDS = ["latest", "meta-data", "api", "token", "dynamic", "network", "interfaces", "macs",
         "..", "i-0123456789abcdef0", "", "%2e", "%00", "%ff", "\ud800", "1.0", "?",
         "mac", "iam"]  # fmt: skip
METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "BREW"])
PATHS = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=7).map("/".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["60s", "CreateTags", "InternalError", 10**400, -1]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["move", "hold", "speed", "api", "code", "times", "from",
                                       "until", "probability", "latency", "throttling", "faults",
                                       "metadata_lag", "median", "CreateTags", "burst",
                                       "per_second"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
ONCE = settings(
    max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Nowhere:
    def addresses(self):
        return []


@pytest.fixture(scope="module")
def served():
    spec = vpc_of({"nodes": [{"instance_type": "m5.large", "count": 2}]}, APIS)
    return open_vpc(spec, held=True)


@ONCE
@given(
    method=METHODS,
    path=PATHS,
    token=st.none() | st.text(max_size=20),
    ttl=st.none() | st.text(max_size=8) | st.integers().map(str),
    source=st.sampled_from(["127.0.0.1", "", "::1", "10.0.0.4", "\0"]),
    own=st.booleans(),
)
def test_metadata_answers_whatever_comes(served, method, path, token, ttl, source, own):
    service = MetadataService(served.metadata, served.instance_ids, served.clock.now_ns)
    given_headers = {TOKEN: token, TTL: ttl}
    request = Request(
        method=method,
        path="/" + path,
        headers={name: value for name, value in given_headers.items() if value is not None},
        body=b"",
        source=source,
    )
    answer = service.answer(request, served.instance_ids()[0] if own else None)
    assert answer.status in (200, 400, 401, 404, 405)


@ONCE
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    name=st.sampled_from(["", "time", "faults", "ec2", "state", "x"]),
    rest=st.sampled_from(["", "/1", "/x", "?y", "//"]),
    body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20),
)
def test_control_answers_whatever_comes(served, method, name, rest, body):
    now_ns = served.clock.now_ns()
    request = Request(
        method=method,
        path=f"/ipam-core/{name}{rest}",
        headers={"Content-Type": "application/json"},
        body=body,
        source="127.0.0.1",
    )
    answer = Control(served, Nowhere()).answer(request)
    assert answer.status in (200, 400, 404)
    found = json.loads(answer.body)
    assert ("error" in found) == (answer.status != 200)
    assert "\n" not in found.get("error", "")
    assert served.clock.now_ns() >= now_ns
    assert served.gate.since_start_ns() >= 0
