"""How calls go through: throttled, late, struck by faults, told of; the same each time."""

import asyncio

import pytest

from ipam_core.cloud.latency import Latency
from ipam_core.cloud.refusals import Ec2Error
from ipam_core.cloud.throttling import Bucket
from ipam_core.endpoint.callers import Caller
from ipam_core.endpoint.clock import VpcClock
from ipam_core.endpoint.gate import Gate
from ipam_core.simulation.fleet.spec import FaultSpec
from ipam_core.units import NS

API = "AssignPrivateIpAddresses"
NODE = Caller(access_key="i-0123456789abcdef0")


class Service:
    """A service that counts what it is asked, and refuses one action."""

    def __init__(self):
        self.asked = []

    def call(self, service, action, params):
        self.asked.append((service, action, params))
        if action == "Refused":
            raise Ec2Error("InvalidParameterValue", "no")
        return {"number": len(self.asked)}


class Played:
    """A gate with a clock that is held, and what came out of its calls."""

    def __init__(self, *, seed=0, clock=None, **settings):
        self.service = Service()
        self.clock = clock or VpcClock(held=True)
        self.told = []
        self.gate = Gate(self.service, self.clock, seed=seed, on_call=self.told.append)
        if "latencies" in settings:
            self.gate.set_latencies(settings["latencies"])
        if "throttling" in settings:
            self.gate.set_throttling(settings["throttling"])
        self.gate.add_faults(settings.get("faults", ()))

    async def acall(self, action=API, service="ec2"):
        request_id = self.gate.next_id()
        try:
            reply = await self.gate.call(service, action, {}, NODE, request_id)
        except Ec2Error as error:
            return error.code
        return reply["number"]

    def call(self, action=API, service="ec2"):
        return asyncio.run(self.acall(action, service))


def test_a_call_beyond_the_bucket_is_refused_as_ec2_does_and_does_nothing():
    played = Played(throttling={API: Bucket(2, 1)})
    assert [played.call() for _ in range(3)] == [1, 2, "RequestLimitExceeded"]
    assert len(played.service.asked) == 2
    error = played.told[-1].error
    assert (error.status, error.message) == (503, "Request limit exceeded.")
    played.clock.move(NS)
    assert [played.call(), played.call()] == [3, "RequestLimitExceeded"]


def test_without_throttling_nothing_is_refused_and_it_can_be_switched_on_again():
    played = Played(throttling=None)
    assert [played.call() for _ in range(200)][-1] == 200
    played.gate.set_throttling({API: Bucket(1, 0)})
    assert [played.call(), played.call()] == [201, "RequestLimitExceeded"]


def test_a_change_of_buckets_leaves_the_tokens_that_there_are():
    played = Played(throttling={API: Bucket(3, 0)})
    played.call()
    played.call()
    played.gate.set_throttling({"CreateTags": Bucket(1, 0)})
    assert [played.call(), played.call()] == [3, "RequestLimitExceeded"]


def test_reads_have_the_bucket_of_reads_and_other_services_none():
    played = Played()
    assert [played.call("DescribeVpcs") for _ in range(101)].count("RequestLimitExceeded") == 1
    assert [played.call("CreateSubnet") for _ in range(51)].count("RequestLimitExceeded") == 1
    assert [played.call("RunInstances") for _ in range(6)].count("RequestLimitExceeded") == 1
    assert "RequestLimitExceeded" not in [played.call("X", "sts") for _ in range(200)]


def test_a_call_changes_the_vpc_when_its_reply_arrives_and_others_overtake_it():
    async def run():
        played = Played(
            clock=VpcClock(),
            latencies={API: Latency(0.05, 0.05), "CreateTags": Latency(0, 0)},
        )
        slow = asyncio.create_task(played.acall())
        await asyncio.sleep(0.005)
        assert played.service.asked == []
        assert await played.acall("CreateTags") == 1
        assert await slow == 2

    asyncio.run(run())


def test_a_client_that_goes_away_has_made_no_call():
    async def run():
        played = Played(clock=VpcClock(), latencies={API: Latency(5, 5)})
        call = asyncio.create_task(played.acall())
        await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert played.service.asked == played.told == []

    asyncio.run(run())


def test_faults_strike_by_call_and_number_before_anything_changes():
    played = Played(faults=[FaultSpec(api=API, code="InsufficientCidrBlocks", times=2)])
    assert [played.call("CreateTags"), played.call(), played.call(), played.call()] == [
        1, "InsufficientCidrBlocks", "InsufficientCidrBlocks", 2,
    ]  # fmt: skip
    assert played.gate.faults == {}


def test_faults_strike_in_their_window_which_counts_from_the_start():
    clock = VpcClock(held=True, start_ns=1000 * NS)
    window = FaultSpec(api=API, code="InternalError", from_ns=10 * NS, until_ns=20 * NS)
    played = Played(clock=clock, faults=[window])
    found = []
    for _ in range(5):
        found.append(played.call())
        clock.move(5 * NS)
    assert found == [1, 2, "InternalError", "InternalError", 3]
    played.gate.add_faults([window], since_ns=played.gate.since_start_ns())
    clock.move(10 * NS)
    assert played.call() == "InternalError"


def test_faults_with_a_probability_strike_about_so_often():
    played = Played(faults=[FaultSpec(api=API, code="InternalError", probability=0.3)],
                    throttling=None)  # fmt: skip
    struck = [played.call() for _ in range(500)].count("InternalError")
    assert 110 < struck < 190  # 150 are expected; five standard deviations are 51


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("UnauthorizedOperation", 403, "assumed-role/node/i-0123456789abcdef0 is not authorized"),
        ("InsufficientCidrBlocks", 400, "enough free cidr blocks"),
        ("RequestLimitExceeded", 503, "Request limit exceeded."),
        ("InternalError", 500, "internal error"),
        ("DryRunOperation", 412, "would have succeeded"),
    ],
)
def test_a_fault_has_the_status_and_the_text_that_ec2_gives_the_code(code, status, words):
    played = Played(faults=[FaultSpec(api=API, code=code)])
    played.call()
    error = played.told[0].error
    assert (error.code, error.status) == (code, status)
    assert words in error.message


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("MadeUp", 400),
        ("InvalidParameterValue", 400),  # EC2 says it of many things, and names each
        ("InvalidParameterCombination", 400),
        ("InvalidGroup.NotFound", 400),
        ("ResourceNotFoundException", 404),
    ],
)
def test_a_fault_whose_code_has_no_text_of_its_own_says_nothing_false(code, status):
    played = Played(faults=[FaultSpec(api=API, code=code)])
    played.call()
    error = played.told[0].error
    assert (error.status, error.message) == (status, "")


def test_a_denied_call_of_another_service_is_named_as_its_own():
    played = Played(faults=[FaultSpec(api="DescribeCluster", code="UnauthorizedOperation")])
    played.call("DescribeCluster", "eks")
    assert "perform: eks:DescribeCluster because" in played.told[0].error.message


def test_a_fault_has_the_text_that_was_given():
    played = Played(faults=[FaultSpec(api=API, code="InternalError", message="as told")])
    played.call()
    assert played.told[0].error.message == "as told"


def test_every_call_is_told_of_as_it_ended():
    played = Played()
    played.call()
    played.call("Refused")
    done, refused = played.told
    assert (done.action, done.reply, done.error, done.caller) == (API, {"number": 1}, None, NODE)
    assert (refused.reply, refused.error.code) == (None, "InvalidParameterValue")
    assert done.request_id != refused.request_id


def test_the_same_seed_and_calls_give_the_same_ids_latencies_and_faults():
    def play(seed):
        half = FaultSpec(api=API, code="InternalError", probability=0.5)
        played = Played(seed=seed, throttling=None, faults=[half])
        slept = []

        async def sleep_ns(duration_ns):
            slept.append(duration_ns)

        played.clock.sleep_ns = sleep_ns
        found = [played.call() for _ in range(30)]
        return found, slept, [call.request_id for call in played.told]

    assert play(7) == play(7)
    assert play(7) != play(8)


def test_a_gate_that_was_saved_goes_on_as_it_would_have():
    def gates():
        played = Played(
            seed=3,
            throttling={API: Bucket(40, 1)},
            faults=[FaultSpec(api=API, code="InternalError", probability=0.5, times=9)],
        )
        for _ in range(15):
            played.call()
        return played

    went_on, saved = gates(), gates()
    other = Played(seed=99)
    other.gate.restore(**saved.gate.saved())
    other.service.asked = list(saved.service.asked)
    assert [other.call() for _ in range(40)] == [went_on.call() for _ in range(40)]
    assert [each.request_id for each in other.told] == [
        each.request_id for each in went_on.told[15:]
    ]
