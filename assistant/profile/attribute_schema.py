"""Attributes that an app adds to its people's profiles: a small subset of JSON Schema, and names that are refused.

A profile contains what was declared, never what was inferred, and nothing of the special categories of GDPR, Art.
9. So the name of an attribute may not be about a mood, a diagnosis or a faith. This catches honest mistakes, not an
app that intends to deceive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from assistant.errors import Invalid

MAX_ATTRIBUTES = 64
_MAX_TEXT = 500
_MAX_ITEMS = 100
_MAX_CHOICES = 100
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

_TYPES: dict[str, tuple[Any, frozenset[str]]] = {
    "string": (str, frozenset({"enum", "maxLength"})),
    "integer": (int, frozenset({"minimum", "maximum"})),
    "number": ((int, float), frozenset({"minimum", "maximum"})),
    "boolean": (bool, frozenset()),
    "array": ((list, tuple), frozenset({"items", "maxItems"})),
}
"""Python's types of each type of an attribute, and its keywords."""
_NOTES = frozenset({"type", "title", "description"})

SENSITIVE: dict[str, tuple[str, ...]] = {
    "what is inferred": (
        "emotion", "mood", "stress", "valence", "arousal", "sentiment", "feeling", "temperament", "anger", "angry",
        "sadness", "happiness", "lonel", "churn", "propensity", "inferred", "predicted", "score", "personality",
    ),
    "health": (
        "health", "mental", "diagnos", "disease", "illness", "medic", "depress", "anxi", "adhd", "autis",
        "suicid", "disabilit", "pregnan", "therap", "addict",
    ),
    "race, origin or faith": ("race", "racial", "ethnic", "religio", "faith", "philosoph"),
    "politics or unions": ("politic", "party_member", "union_member", "trade_union", "vote"),
    "sex life or orientation": ("sexual", "sex_life"),
    "genes and bodies": ("genetic", "genom", "biometr", "voiceprint", "fingerprint", "faceprint"),
    "money and eligibility": ("credit", "income", "salary", "debt", "price", "eligib"),
}  # fmt: skip
"""Prefixes of words, by what they reveal."""


def sensitive_topic(name: str) -> str | None:
    """What the name of an attribute reveals that a profile may not contain; None if nothing.

    >>> [sensitive_topic(name) for name in ("stressLevel", "is_depressed", "embrace_change", "team")]
    ['what is inferred', 'health', None, None]
    """
    words = "_" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()
    return next((what for what, roots in SENSITIVE.items() if any(f"_{root}" in words for root in roots)), None)


def check_schema(attributes: Mapping[str, Any]) -> None:
    """Raise `Invalid` unless each attribute has an allowed name and a schema of the supported subset.

    The message counts the attributes and quotes none.

    Codes: `attribute_sensitive`, `schema_invalid`.
    """
    if len(attributes) > MAX_ATTRIBUTES:
        raise _bad(f"at most {MAX_ATTRIBUTES} attributes")
    for number, (name, schema) in enumerate(attributes.items(), 1):
        if not _NAME.fullmatch(name):
            raise _bad("an attribute's name is made of a-z, 0-9 and _, begins with a letter and has at most 64")
        if (what := sensitive_topic(name)) is not None:
            raise Invalid(f"attribute {number} is about {what}", code="attribute_sensitive")
        _check_kind(f"attribute {number}", schema, nested=False)


def check_attributes(schema: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    """Raise `Invalid` unless the app's schema allows these attributes: `attribute_unknown`, `attribute_invalid`.

    >>> check_attributes({"team": {"type": "string", "enum": ["red", "blue"]}}, {"team": "red"})
    """
    for name, value in attributes.items():
        if name not in schema:
            known = ", ".join(sorted(schema)) or "none"
            raise Invalid(f"the app's schema has no such attribute; it has: {known}", code="attribute_unknown")
        if (problem := _problem(schema[name], value)) is not None:
            raise Invalid(f"the attribute {name!r} {problem}", code="attribute_invalid")


def _check_kind(name: str, schema: Any, *, nested: bool) -> None:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if not isinstance(kind, str) or kind not in _TYPES or (nested and kind == "array"):
        raise _bad(f"{name} needs a `type`: string, integer, number, boolean, or array of one of these")
    allowed = _TYPES[kind][1] | _NOTES
    if set(schema) - allowed:
        raise _bad(f"{name} of type {kind} may have {', '.join(sorted(allowed))}")
    if kind == "array":
        _check_kind(f"the items of {name}", schema.get("items"), nested=True)
    for keyword in ("maxLength", "maxItems"):
        if keyword in schema and not (type(schema[keyword]) is int and schema[keyword] > 0):
            raise _bad(f"{keyword} of {name} must be a whole number greater than 0")
    for keyword in ("minimum", "maximum"):
        if keyword in schema and type(schema[keyword]) not in (int, float):
            raise _bad(f"{keyword} of {name} must be a number")
    choices = schema.get("enum", [""])
    good = isinstance(choices, list) and 0 < len(choices) <= _MAX_CHOICES
    if not good or not all(isinstance(choice, str) for choice in choices):
        raise _bad(f"enum of {name} must list 1 to {_MAX_CHOICES} strings")


def _problem(schema: Mapping[str, Any], value: Any) -> str | None:
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind][0]) or (isinstance(value, bool) and kind != "boolean"):
        return f"must be of type {kind}"
    if kind == "string" and len(value) > schema.get("maxLength", _MAX_TEXT):
        return f"may have at most {schema.get('maxLength', _MAX_TEXT)} characters"
    if "enum" in schema and value not in schema["enum"]:
        return f"must be one of {', '.join(schema['enum'])}"
    if value != value or ("minimum" in schema and value < schema["minimum"]):
        return f"must be at least {schema.get('minimum', 'a number')}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"must be at most {schema['maximum']}"
    if kind == "array":
        if len(value) > schema.get("maxItems", _MAX_ITEMS):
            return f"may have at most {schema.get('maxItems', _MAX_ITEMS)} items"
        return next((f"has an item that {p}" for item in value if (p := _problem(schema["items"], item))), None)
    return None


def _bad(message: str) -> Invalid:
    return Invalid(message, code="schema_invalid")
