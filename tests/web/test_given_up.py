"""A search of findings that nobody waits for: it ends, and leaves nothing behind."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ipam_core.diagnosis.explain import explain
from ipam_core.diagnosis.explain.giving_up import GivenUpError, given_up_if

pytest.importorskip("nicegui", reason="the extra web is not installed")

from ipam_core.web.what_if import page as what_if
from ipam_core.web.what_if.asked import explained
from ipam_core.web.what_if.state import State

LONG = State.from_query("instance=m8g.48xlarge&MINIMUM_IP_TARGET=25&WARM_IP_TARGET=2&maxPods=700")


def test_nodes_stop_at_the_next_pod_and_only_in_the_body():
    n_asked = 0

    def is_given_up():
        nonlocal n_asked
        n_asked += 1
        return n_asked == 7

    whole = explain("m5.large").to_dict()
    with pytest.raises(GivenUpError), given_up_if(is_given_up):
        explain("m5.large")
    assert n_asked == 7
    assert explain("m5.large").to_dict() == whole


class Element:
    """What a page writes to, as far as `_Page.search` does."""

    def __init__(self):
        self.content = "as before"

    def props(self, *_, **__):
        return self


@pytest.fixture
def page():
    """A page without its browser."""
    found = object.__new__(what_if._Page)
    found._asked, found._state = 0, LONG
    found._found, found._tables, found._wrong, found._answer = (Element() for _ in range(4))
    return found


@pytest.mark.parametrize("leaves", [True, False], ids=["left", "moved"])
def test_a_search_that_is_stale_is_not_played_to_its_end(page, leaves):
    """It went on for seconds, and held up that of the next move."""

    async def act():
        searching = asyncio.ensure_future(page.search())
        await asyncio.sleep(0.1)
        assert not searching.done()
        if leaves:
            page.leave()
        else:
            page._asked += 1
        began_s = time.monotonic()
        await searching
        return time.monotonic() - began_s

    explained.cache_clear()
    with ThreadPoolExecutor(1) as thread:  # a browser of other tests has a loop in this one
        assert thread.submit(asyncio.run, act()).result() < 0.5
    assert explained.cache_info().currsize == 0
    assert {page._found.content, page._tables.content, page._wrong.content} == {"as before"}
