"""What the controls hold. It is the query of a link, so that a link holds the whole state."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlencode

from ipam_core.errors import InputError
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.quoting import quoted
from ipam_core.variables import ADDRESS_VARIABLES
from ipam_core.web.words import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES = ("instance", "instance2", "instance3", "instance4")
"""The controls of instance types: those that are empty ask for none."""
TARGETS = (
    "WARM_ENI_TARGET",
    "WARM_IP_TARGET",
    "MINIMUM_IP_TARGET",
    "WARM_PREFIX_TARGET",
    "IP_COOLDOWN_PERIOD",
)
SWITCHES = ("ENABLE_PREFIX_DELEGATION", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "ENABLE_POD_ENI")
OTHERS = tuple(sorted(ADDRESS_VARIABLES.difference(TARGETS, SWITCHES)))
"""Variables without a control of their own: one appears once a link or a fix sets it."""
POLICIES = (VPC_CNI.name, IPAM_CORE.name)
DEFAULT_TYPE = "m8g.4xlarge"
MOST_PODS = 2_000
"""The most for maxPods on the page: what is played takes time for each pod."""
_LONGEST_QUERY = 4_000
_LONGEST_VALUE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is asked: nodes and their variables, "" for one that is unset; `was` is a query.

    `was` holds the state with which this one is compared, "" for none.
    """

    types: tuple[str, ...] = (DEFAULT_TYPE,)
    env: tuple[tuple[str, str], ...] = ()
    max_pods: str = ""
    policy: str = VPC_CNI.name
    lang: str = "en"
    was: str = ""

    @classmethod
    def from_query(cls, query: str) -> Self:
        """Return the state of a link. Raises `InputError` if it is too long."""
        if len(query) > _LONGEST_QUERY:
            raise InputError(f"a link of {len(query)} characters: at most {_LONGEST_QUERY}")
        return cls.from_form({name: values[-1] for name, values in parse_qs(query).items()})

    @classmethod
    def from_form(cls, given: Mapping[str, object]) -> Self:
        """Return the state that controls hold; names that are no control are left out.

        Raises:
            InputError: a value is longer than any that is valid, or no policy has this name;
                or the state that it is compared with has one such.
        """
        form = {name: str(value).strip() for name, value in given.items()}
        env = [(name, form.get(name, "")) for name in TARGETS]
        env += [(name, "true") for name in SWITCHES if form.get(name) == "true"]
        env += [(name, form.get(name, "")) for name in OTHERS]
        types = dict.fromkeys(form.get(name, "") for name in TYPES)
        state = cls(
            types=tuple(name for name in types if name) or cls().types,
            env=tuple((name, value) for name, value in env if value),
            max_pods=form.get("maxPods", ""),
            policy=form.get("policy") or cls().policy,
            lang=form["lang"] if form.get("lang") in LANGUAGES else "en",
            was=form.get("was", ""),
        )
        values = (*state.types, state.max_pods, state.policy, *(value for _, value in state.env))
        for value in values:
            if len(value) > _LONGEST_VALUE:
                raise InputError(f"{quoted(value)}: at most {_LONGEST_VALUE} characters")
        if state.policy not in POLICIES:
            raise InputError(f"policy {quoted(state.policy)}: {' or '.join(POLICIES)}")
        if state.was:
            _alone(state.was)
        return state

    @property
    def query(self) -> str:
        """The query of a link to it."""
        policy = "" if self.policy == VPC_CNI.name else self.policy
        pairs = [*zip(TYPES, self.types, strict=False), *self.env]
        pairs += [("maxPods", self.max_pods), ("policy", policy), ("was", self.was)]
        pairs += [("lang", self.lang)] if self.lang != "en" else []
        return urlencode([(name, value) for name, value in pairs if value])

    @property
    def before(self) -> State | None:
        """The state with which it is compared, None for none."""
        return _alone(self.was) if self.was else None

    def pods(self) -> int | None:
        """Return maxPods as a number, None if it is not given. Raises `InputError`."""
        if not self.max_pods:
            return None
        if not (self.max_pods.isascii() and self.max_pods.isdigit()):
            raise InputError(f"maxPods {quoted(self.max_pods)}: a number from 1 to {MOST_PODS}")
        if not 1 <= int(self.max_pods) <= MOST_PODS:
            raise InputError(f"maxPods {self.max_pods}: from 1 to {MOST_PODS}")
        return int(self.max_pods)

    def with_fix(self, env: Mapping[str, str | None], max_pods: int | None) -> State:
        """Return this state with a fix applied, to be compared with what it was."""
        variables = dict(self.env)
        for name, value in env.items():
            variables.pop(name, None)
            if value is not None:
                variables[name] = value
        form: dict[str, object] = {**variables, **dict(zip(TYPES, self.types, strict=False))}
        form |= {"policy": self.policy, "lang": self.lang, "was": self.pinned().was}
        form["maxPods"] = self.max_pods if max_pods is None else str(max_pods)
        return State.from_form(form)

    def pinned(self) -> State:
        """Return this state, compared with itself: what is changed from now on is shown."""
        return replace(self, was=replace(self, was="", lang="en").query)

    def unpinned(self) -> State:
        """Return this state, compared with none."""
        return replace(self, was="")

    def alone(self) -> State:
        """Return what is asked without what decides no number."""
        return replace(self, lang="en", was="")

    def in_language(self, language: str) -> State:
        """Return this state in another language."""
        return replace(self, lang=language)

    def command(self) -> str:
        """Return the command that prints the same numbers."""
        words = ["ipam-core", "explain", *self.types]
        for name, value in self.env:
            words += ["-e", f"{name}={value}"]
        words += ["--max-pods", self.max_pods] if self.max_pods else []
        words += ["--policy", self.policy] if self.policy != VPC_CNI.name else []
        return shlex.join(words)


def _alone(query: str) -> State:
    """Return the state of a query that is compared with none, whatever the query says."""
    form = {name: values[-1] for name, values in parse_qs(query).items()}
    return State.from_form({**form, "was": ""})
