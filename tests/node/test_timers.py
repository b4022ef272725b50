"""What a node remembers for a while, at the edges of that while, and no longer."""

import pytest

from ipam_core.node.timers import Timers

S = 10**9


@pytest.mark.parametrize(
    ("field", "question", "seconds", "answer"),
    [
        ("full_ns", Timers.pausing, 120, True),
        ("no_prefix_ns", Timers.lacks_prefixes, 120, True),
        ("shrunk_ns", Timers.may_shrink, 30, False),
        ("changed_ns", Timers.may_reconcile, 60, False),
    ],
)
def test_the_last_nanosecond_is_included(field, question, seconds, answer):
    timers = Timers(n_cards=1, release_delay_s=0)
    assert question(timers, 0) is not answer  # nothing happened yet
    setattr(timers, field, 5 * S)
    assert question(timers, (5 + seconds) * S) is answer
    assert question(timers, (5 + seconds) * S + 1) is not answer


def test_what_was_given_back_is_not_taken_over_for_60_s():
    timers = Timers(n_cards=1, release_delay_s=0)
    timers.note_given_back("10.0.0.231", 999 * S)
    assert timers.given_back_lately("10.0.0.231", 1059 * S - 1)
    assert timers.given_back_long_ago(["10.0.0.231"], 1059 * S - 1) == set()
    assert not timers.given_back_lately("10.0.0.231", 1059 * S)  # the 60th second is over
    assert timers.given_back_long_ago(["10.0.0.231", "10.0.0.1"], 1059 * S) == {"10.0.0.231"}
    timers.note_given_back("10.0.0.231", 1060 * S)  # again: it counts from now
    assert timers.given_back_lately("10.0.0.231", 1120 * S - 1)
    timers.forget_given_back({"10.0.0.231"})
    assert not timers.given_back_lately("10.0.0.231", 1060 * S)


def test_of_what_was_given_back_long_ago_the_newest_1024_are_remembered():
    timers = Timers(n_cards=1, release_delay_s=0)
    for number in range(2000):  # 40 a second: more than 1024 within 60 s
        timers.note_given_back(f"cidr-{number}", number * S // 40)
    assert len(timers.given_back_ns) == 2000  # what was recently is all kept
    for number in range(2000, 2010):
        timers.note_given_back(f"cidr-{number}", 1000 * S)
    assert len(timers.given_back_ns) == 1024
    assert timers.given_back_long_ago(["cidr-985", "cidr-986"], 1001 * S) == {"cidr-986"}


def test_the_next_time_is_the_earliest_at_which_time_alone_changes_something():
    timers = Timers(n_cards=2, release_delay_s=300)
    assert timers.next_ns(0) is None
    timers.full_ns, timers.shrunk_ns = 10 * S, 50 * S
    timers.young_ns.extend([5 * S, 40 * S])
    assert timers.next_ns(60 * S) == 65 * S  # the older ENI is old enough
    assert timers.next_ns(66 * S) == 80 * S  # shrinking may come again
    assert timers.next_ns(81 * S) == 100 * S  # the younger ENI
    assert timers.next_ns(101 * S) == 130 * S  # the pause of the full subnet
    assert timers.next_ns(131 * S) is None
    timers.note_in_use(1, 8, 90 * S)
    timers.note_in_use(1, 3, 95 * S)
    assert timers.peak_in_use(1) == 8
    assert timers.next_ns(131 * S) == 390 * S  # the peak is forgotten
    timers.note_in_use(1, 3, 391 * S)
    assert timers.peak_in_use(1) == 3
    assert timers.next_ns(391 * S) is None
