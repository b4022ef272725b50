"""Who makes a call, as its signature shows, and the keys that instances are given."""

import pytest

from ipam_core.endpoint.callers import Caller, access_key_of, caller_of, role_credentials

HEADER = (
    "AWS4-HMAC-SHA256 Credential={}/20260101/eu-west-1/{}/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=00"
)


def signed(key, service="ec2"):
    return caller_of({"Authorization": HEADER.format(key, service), "User-Agent": "x"}, "", "::1")


@pytest.mark.parametrize("instance", ["i-0123456789abcdef0", "i-fffffffffffffffff", "i-0badcafe"])
def test_the_key_of_an_instance_leads_back_to_it(instance):
    key = access_key_of(instance)
    assert len(key) == 20
    assert key.startswith("ASIA")
    assert signed(key).instance_id == instance
    assert signed(instance).instance_id == instance


@pytest.mark.parametrize(
    "key", ["AKIAIOSFODNN7EXAMPLE", "testing", "", "ASIA", "ASIA7777777777777777", "i-", "i-123"]
)
def test_any_other_key_is_a_user(key):
    caller = Caller(access_key=key)
    assert caller.instance_id == ""
    assert caller.arn == "arn:aws:iam::111122223333:user/ipam-core"
    assert caller.identity()["type"] == "IAMUser"


def test_the_session_of_a_role_is_named_by_the_instance():
    identity = signed("i-0123456789abcdef0").identity()
    assert identity["arn"].endswith(":assumed-role/node/i-0123456789abcdef0")
    assert identity["sessionContext"]["sessionIssuer"]["userName"] == "node"


def test_what_was_signed_for_is_read_from_header_and_query():
    found = signed("AKIA1", "sts")
    assert (found.service, found.region, found.source, found.user_agent) == (
        "sts", "eu-west-1", "::1", "x",
    )  # fmt: skip
    query = "Action=X&X-Amz-Credential=AKIA2%2F20260101%2Fus-west-2%2Fec2%2Faws4_request"
    presigned = caller_of({}, query, "10.0.0.1")
    assert (presigned.access_key, presigned.service) == ("AKIA2", "ec2")


@pytest.mark.parametrize("header", ["", "Basic x", "AWS4-HMAC-SHA256", "AWS AKIA:sig", "\x00"])
def test_what_is_not_signed_is_of_nobody(header):
    assert caller_of({"Authorization": header}, "X-Amz-Credential=&x", "").access_key == ""


def test_credentials_end_in_the_future():
    from datetime import UTC, datetime

    found = role_credentials("i-0123456789abcdef0", datetime(2026, 1, 1, tzinfo=UTC))
    assert found["Expiration"] == "2026-01-01T06:00:00Z"
    assert Caller(access_key=found["AccessKeyId"]).instance_id == "i-0123456789abcdef0"
