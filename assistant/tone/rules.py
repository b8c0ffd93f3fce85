"""A policy: a versioned table of rules, read from a file or brought by an app, checked once, then frozen.

It sets only enumerated choices: none of its words reach a language model. The shipped one is `policy.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from assistant.errors import Invalid
from assistant.profile.person import Formality
from assistant.tone.directive import (
    Acknowledgement,
    Directness,
    Humour,
    Manner,
    OfferedCorrection,
    Pace,
    Verbosity,
    Warmth,
)
from assistant.tone.law import LAWFUL_INPUTS, LAWS
from assistant.tone.situation import INPUT_OF, OF_MOOD, Condition, Situation

MAX_BYTES = 65_536
"""Of a policy that an app brings."""
RESERVED = frozenset({"default", "steady", *(law.code for law in LAWS)})
"""Codes of reasons that are not a policy's to give."""
_SHIPPED_PREFIX = "tone-"

Code = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$", description="Names the rule in reasons.")]
Words = Annotated[str, Meta(min_length=1, max_length=300)]
Version = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]


class Choices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Parts of a manner; what is left out stays as it was."""

    warmth: Warmth | UnsetType = UNSET
    formality: Formality | UnsetType = UNSET
    pace: Pace | UnsetType = UNSET
    verbosity: Verbosity | UnsetType = UNSET
    directness: Directness | UnsetType = UNSET
    acknowledgement: Acknowledgement | UnsetType = UNSET
    humour: Humour | UnsetType = UNSET

    def named(self) -> dict[str, Any]:
        """Those that are chosen."""
        return {name: said for name in self.__struct_fields__ if (said := getattr(self, name)) is not UNSET}


class ToneRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes the manner when its condition holds."""

    code: Code
    says: Words
    """Why, for people: part of the reasons, never of a prompt."""
    when: Condition
    sets: Choices
    corrects: OfferedCorrection | None = None
    """What the person is offered to say of themself where this rule read their mood wrongly."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of rules. Later ones win over earlier ones, and laws that are no policy's over all of them."""

    version: Version
    """Told with every directive that it chose."""
    rules: Annotated[tuple[ToneRule, ...], Meta(max_length=200)]
    says: Annotated[str, Meta(max_length=300)] = ""
    manner: Choices = Choices()
    """Where every tone begins; what is left out is warm, neutral and normal."""

    def begin(self) -> Manner:
        """The manner before any rule."""
        return Manner(**self.manner.named())

    def inputs(self) -> tuple[str, ...]:
        """What the rules look at, and the laws in any case; `mood` is last, as it isn't always there."""
        named = {INPUT_OF[name] for rule in self.rules for name in rule.when.facts()}
        return (*sorted((named | LAWFUL_INPUTS) - {"mood"}), "mood")

    def correction_of(self, codes: Sequence[str]) -> OfferedCorrection | None:
        """What the last of these rules that offers a correction offers."""
        corrections = {rule.code: rule.corrects for rule in self.rules if rule.corrects is not None}
        return next((corrections[code] for code in reversed(codes) if code in corrections), None)

    def fired(self, situation: Situation) -> Iterator[ToneRule]:
        """The rules whose condition holds, in their order."""
        return (rule for rule in self.rules if rule.when.holds(situation))


class Policies(Protocol):
    """Where apps' own policies are kept."""

    async def get(self, app: str) -> Policy:
        """The app's own policy, or the shipped one."""


def read_policy(data: bytes) -> Policy:
    """A policy from TOML, checked. Raises `Invalid` (`policy_invalid`)."""
    try:
        return check_policy(msgspec.toml.decode(data))
    except msgspec.DecodeError:
        raise Invalid("this is not TOML", code="policy_invalid") from None


def check_policy(raw: Any, *, own: bool = False) -> Policy:
    """A policy from parsed JSON or TOML; `own`: an app's, which can't take the name of a shipped one.

    Raises `Invalid` (`policy_invalid`) naming the rule and the member.

    >>> check_policy({"version": "1", "rules": [{"code": "a", "says": "A.", "when": {}, "sets": {"pace": "slow"}}]})
    Traceback (most recent call last):
    assistant.errors.Invalid: rule 1 (`a`), `when`: names nothing, so it would always hold; change `manner` instead
    """
    try:
        policy = msgspec.convert(raw, type=Policy)
    except msgspec.ValidationError as error:
        raise _invalid(*_placed(str(error), raw)) from None
    if own and policy.version.startswith(_SHIPPED_PREFIX):
        raise _invalid("`version`", f"names that begin with `{_SHIPPED_PREFIX}` are those of shipped policies")
    seen: set[str] = set()
    for number, rule in enumerate(policy.rules, 1):
        for member, what in _mistakes(rule):
            raise _invalid(f"rule {number} (`{rule.code}`), `{member}`", what)
        if rule.code in seen:
            raise _invalid(f"rule {number} (`{rule.code}`), `code`", "another rule has it already")
        seen.add(rule.code)
    return policy


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a policy."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Policy)}


def _mistakes(rule: ToneRule) -> Iterator[tuple[str, str]]:
    """The mistakes that a schema can't find, each with its member."""
    if rule.code in RESERVED:
        yield "code", "is reserved for reasons that no policy gives"
    if not rule.when.named():
        yield "when", "names nothing, so it would always hold; change `manner` instead"
    if not rule.sets.named():
        yield "sets", "changes nothing"
    if rule.corrects is not None and not rule.corrects.named():
        yield "corrects", "says nothing"
    if rule.corrects is not None and not OF_MOOD.keys() & rule.when.facts():
        yield "corrects", "would correct a mood, and `when` reads none"
    for place, facts in rule.when.parts():
        if place != "when" and not facts.named():
            yield place, "names nothing"
        if facts.at_least is not None and facts.emotion is None:
            yield f"{place}.at_least", "needs an `emotion`"
        for low, high in _BOUNDS:
            lowest, highest = getattr(facts, low), getattr(facts, high)
            if lowest is not None and highest is not None and lowest > highest:
                yield f"{place}.{low}", f"can't hold together with `{high}`"


_BOUNDS = (
    ("valence_above", "valence_below"),
    ("arousal_above", "arousal_below"),
    ("turns_at_least", "turns_at_most"),
)
_PATH = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?", re.DOTALL)
_RULE = re.compile(r"\.rules\[(?P<at>\d+)\]\.?(?P<member>.*)")


def _placed(message: str, raw: Any) -> tuple[str, str]:
    """Where a shape is wrong, as a rule and its member, and what is wrong there."""
    parsed = _PATH.fullmatch(message)
    assert parsed is not None
    path, what = parsed["path"] or "", parsed["what"]
    if not what.startswith(("Expected ", "Object missing ")):  # others quote what was sent
        what = re.split("[`']", what)[0].strip()
    in_rule = _RULE.fullmatch(path)
    if in_rule is None:
        return (f"`{path.lstrip('.')}`" if path.strip(".") else "the policy"), what
    index = int(in_rule["at"])
    code = raw["rules"][index].get("code") if isinstance(raw["rules"][index], dict) else None
    name = f" (`{code}`)" if isinstance(code, str) and re.fullmatch("[a-z0-9_]{1,64}", code) else ""
    member = f", `{in_rule['member']}`" if in_rule["member"] else ""
    return f"rule {index + 1}{name}{member}", what


def _invalid(where: str, what: str) -> Invalid:
    return Invalid(f"{where}: {what}", code="policy_invalid")


SHIPPED = read_policy(Path(__file__).with_name("policy.toml").read_bytes())
