"""What the controls hold. It is the query of a link, so that a link holds the whole state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlencode

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.variables import ADDRESS_VARIABLES
from ipam_core.web.words import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

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
MOST_PODS = 2_000
"""The most for maxPods on the page: what is played takes time for each pod."""
_LONGEST_QUERY = 4_000
_LONGEST_VALUE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is asked: a node and its variables, "" for one that is unset; `was` is a query.

    `was` holds the state with which this one is compared, "" for none.
    """

    instance: str = "m8g.4xlarge"
    env: tuple[tuple[str, str], ...] = ()
    max_pods: str = ""
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
            InputError: a value is longer than any that is valid.
        """
        form = {name: str(value).strip() for name, value in given.items()}
        env = [(name, form.get(name, "")) for name in TARGETS]
        env += [(name, "true") for name in SWITCHES if form.get(name) == "true"]
        env += [(name, form.get(name, "")) for name in OTHERS]
        state = cls(
            instance=form.get("instance") or cls().instance,
            env=tuple((name, value) for name, value in env if value),
            max_pods=form.get("maxPods", ""),
            lang=form["lang"] if form.get("lang") in LANGUAGES else "en",
            was=form.get("was", ""),
        )
        for value in (state.instance, state.max_pods, *(value for _, value in state.env)):
            if len(value) > _LONGEST_VALUE:
                raise InputError(f"{quoted(value)}: at most {_LONGEST_VALUE} characters")
        return state

    @property
    def query(self) -> str:
        """The query of a link to it."""
        pairs = [("instance", self.instance), *self.env]
        others = (("maxPods", self.max_pods), ("lang", self.lang), ("was", self.was))
        return urlencode([*pairs, *((name, value) for name, value in others if value)])

    @property
    def before(self) -> State | None:
        """The state with which it is compared, None for none."""
        return replace(State.from_query(self.was), was="") if self.was else None

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
        form = variables | {"instance": self.instance, "lang": self.lang}
        form["maxPods"] = self.max_pods if max_pods is None else str(max_pods)
        return State.from_form({**form, "was": replace(self, was="").query})

    def alone(self) -> State:
        """Return what is asked without what decides no number."""
        return replace(self, lang="en", was="")

    def in_language(self, language: str) -> State:
        """Return this state in another language."""
        return replace(self, lang=language)

    def command(self) -> str:
        """Return the command that prints the same numbers."""
        words = [f"-e {name}={value}" for name, value in self.env]
        words += [f"--max-pods {self.max_pods}"] if self.max_pods else []
        return " ".join(["ipam-core explain", self.instance, *words])


def limits_of(state: State) -> instances.InstanceLimits:
    """Return the limits of its type. Raises `UnknownInstanceTypeError`."""
    return instances.limits(state.instance)
