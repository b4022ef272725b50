"""The parts of the page without a browser: links, forms, texts, and who is let in."""

import sys

import pytest

from ipam_core.errors import InputError, MissingExtraError
from ipam_core.manifests import read_addon, read_helm_values
from ipam_core.web.guard import COOKIE, MOST_BYTES, Guard
from ipam_core.web.markup import problem
from ipam_core.web.serve import serve
from ipam_core.web.what_if import shown
from ipam_core.web.what_if.forms import addon, helm, kubectl
from ipam_core.web.what_if.state import State
from ipam_core.web.what_if.words import WORDS
from ipam_core.web.words import words_in
from support.loops import run_apart

STATE = State.from_query(
    "instance=m5.large&WARM_IP_TARGET=10&ENABLE_PREFIX_DELEGATION=true&maxPods=110&lang=ko"
)


def test_a_link_holds_the_whole_state():
    fixed = STATE.with_fix({"WARM_IP_TARGET": None, "MAX_ENI": "2"}, 50)
    assert State.from_query(fixed.query) == fixed
    assert fixed.before == STATE.in_language("en")
    assert dict(fixed.env) == {"ENABLE_PREFIX_DELEGATION": "true", "MAX_ENI": "2"}
    assert fixed.pods() == 50
    assert 'name="MAX_ENI" value="2"' in shown.controls(fixed, words_in("en", WORDS))


def test_a_link_holds_types_and_policy_and_what_it_is_compared_with():
    query = "instance=m5.large&instance2=t3.small&instance3=m5.large&policy=ipam-core"
    state = State.from_query(query)
    assert state.types == ("m5.large", "t3.small")
    assert state.policy == "ipam-core"
    assert State.from_query(state.query) == state
    pinned = state.pinned()
    assert pinned.before == state
    assert State.from_query(pinned.query) == pinned
    assert pinned.unpinned() == state
    command = "ipam-core explain m5.large t3.small --policy ipam-core"
    assert pinned.command() == command


@pytest.mark.parametrize("query", ["policy=mine", "was=policy%3Dmine", "was=maxPods%3D" + "1" * 33])
def test_what_a_link_cannot_hold_is_refused(query):
    with pytest.raises(InputError, match=r"mine|at most 32"):
        State.from_query(query)


def test_a_link_in_a_link_in_a_link_is_read_once():
    deep = State.from_query("was=" * 900 + "1")
    assert deep.before == State()


@pytest.mark.parametrize("given", ["0", "2001", "-1", "1e3", "9" * 32, "x"])
def test_max_pods_is_bounded(given):
    with pytest.raises(InputError, match="from 1 to 2000"):
        State(max_pods=given).pods()


def test_long_links_and_values_are_refused():
    with pytest.raises(InputError, match="at most 4000"):
        State.from_query("instance=" + "a" * 4_000)
    with pytest.raises(InputError, match="at most 32 characters"):
        State.from_query("WARM_IP_TARGET=" + "1" * 33)


def test_the_forms_set_what_the_controls_hold():
    env = dict(STATE.env)
    for found in (read_helm_values(helm(STATE)), read_addon(addon(STATE))):
        assert {name: found.variables.get(name) for name in env} == env
    words = kubectl(STATE, ("MAX_ENI",)).split()
    assert words[:6] == ["kubectl", "-n", "kube-system", "set", "env", "ds/aws-node"]
    assert words[6:] == [*(f"{name}={value}" for name, value in env.items()), "MAX_ENI-"]


def test_a_value_for_the_shell_is_quoted():
    state = State.from_query("WARM_IP_TARGET=1;reboot")
    for line in (kubectl(state), state.command()):
        assert line.endswith(" 'WARM_IP_TARGET=1;reboot'")


def test_markup_is_shown_as_text():
    evil = State.from_query('instance=<img src=x>&WARM_IP_TARGET="><script>x')
    html = shown.controls(evil, words_in("en", WORDS)) + problem(evil.types[0])
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;img src=x&gt;" in html


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r"ipam-core\[web\]"):
        serve("127.0.0.1", 0, pytest.fail)


# --- the guard ----------------------------------------------------------------------------


def asked(token="", *, path="/", query="", kind="http", **headers):
    """Ask a guarded application; return its status, or the close of a socket, and headers."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    given = {"host": "127.0.0.1:80"} | {name.replace("_", "-"): v for name, v in headers.items()}
    scope = {
        "type": kind,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    run_apart(Guard(app, token)(scope, None, send))
    return sent[0].get("status", sent[0].get("code")), dict(sent[0].get("headers", ()))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8080"}, 200),
        ({"host": "[::1]:8080"}, 200),
        ({"host": "attacker.example"}, 403),
        ({"host": "[bad"}, 403),
        ({"host": ""}, 403),
        ({"origin": "http://127.0.0.1:80"}, 200),
        ({"origin": "http://attacker.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content_length": str(MOST_BYTES)}, 200),
        ({"content_length": str(MOST_BYTES + 1)}, 413),
        ({"content_length": "x"}, 413),
        ({"transfer_encoding": "chunked"}, 413),
    ],
)
def test_only_this_machine_is_answered(headers, status):
    assert asked(**headers)[0] == status


def test_another_sites_socket_is_closed():
    assert asked(kind="websocket", origin="http://attacker.example")[0] == 1008


def test_beyond_this_machine_a_token_is_asked():
    host = "node.example"
    assert asked("secret", host=host)[0] == 401
    assert asked("secret", host=host, query="token=wrong")[0] == 401
    assert asked("secret", host=host, cookie=f"{COOKIE}=wrong")[0] == 401
    assert asked("secret", host=host, cookie="\x80=;;")[0] == 401
    assert asked("secret", host=host, query="token=secret", kind="websocket")[0] == 1008
    assert asked("secret", host=host, cookie=f"{COOKIE}=secret")[0] == 200
    query = "token=secret&instance=m5.large"
    status, headers = asked("secret", host=host, path="//evil.example\r\n", query=query)
    assert status == 303
    assert headers[b"location"] == b"/evil.example%0D%0A?instance=m5.large"
    assert b"HttpOnly; SameSite=Strict" in headers[b"set-cookie"]
