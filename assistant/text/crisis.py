"""Crisis words lead to human help. This is no affect: it needs no grant, no model, stores nothing, and always runs.

A transparent rule set: first-person statements of an intent or wish to die or to hurt oneself. It errs towards
offering help, and its only output is the route to it. It is no diagnosis and no risk score.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.text.clean import clean

_RULES: tuple[tuple[str, str], ...] = (
    ("suicide_intent", r"\b(?:kill|hang|shoot|drown|poison|end) my ?self\b"),
    ("suicide_intent", r"\b(?:end|ending|take|taking) my (?:own )?life\b"),
    ("suicide_intent", r"\b(?:end|ending) it all\b"),
    ("suicide_intent", r"\b(?:commit|attempt|consider|contemplat)(?:e|ing|ting)? suicide\b"),
    (
        "suicide_intent",
        r"\b(?:i'?m|i am|i was|i (?:\w+ ){0,2}(?:feel|felt)|i'?ve (?:been|felt)|i have (?:been|felt))\b"
        r"[^.!?]{0,30}\bsuicidal\b|\bi\b[^.!?]{0,40}\bsuicidal (?:thoughts|feelings|urges|ideation|tendencies)\b",
    ),
    ("suicide_intent", r"\b(?:think|thinking|thoughts|thought) (?:about|of) (?:suicide|killing myself|ending)\b"),
    (
        "wish_to_die",
        r"\bi (?!(?:do not|did not|dont|didnt|never) )(?:\w+ ){0,2}(?:want|wanna|need|prefer) "
        r"(?:(?:to|just|only|really|so|badly|desperately) ){0,3}(?:die|be dead)\b",
    ),
    (
        "wish_to_die",
        r"\bi (?:\w+ ){0,2}(?:wish|hope) (?:that )?i (?:\w+ ){0,2}(?:die|dead|(?:had|was) never (?:been )?born)\b",
    ),
    (
        "wish_to_die",
        r"\bi (?:\w+ ){0,2}(?:want|wanna|wish|hope) (?:\w+ ){0,6}(?:not|never|don'?t) wake up\b"
        r"(?! (?:early|late|so|at|before|in)\b)",
    ),
    ("wish_to_die", r"\bi'?m (?:just )?going to (?:die|kill) (?:tonight|today|by my own)\b"),
    (
        "wish_to_die",
        r"\b(?:do not|don'?t) (?:want|wish) (?:to )?(?:live|be alive|exist|be here)(?: any ?more)?(?=$|[.,!?])",
    ),
    ("wish_to_die", r"\b(?:better|best) off (?:dead|without me|if i (?:was|were) (?:dead|gone))\b"),
    (
        "wish_to_die",
        r"\b(?:no (?:reason|point)|nothing left) (?:to|in|for) "
        r"(?:(?:go on |keep )?(?:live|living|being alive)|going on(?! about)|go on living)\b",
    ),
    ("wish_to_die", r"\b(?:tired of|sick of|can'?t (?:go on|keep)) (?:living|being alive)\b"),
    (
        "suicide_intent",
        r"\b(?:jump|jumping) (?:off|from) (?:a|the|this|that) (?:\w+ )?(?:bridge|roof|building|cliff|balcony)\b",
    ),
    ("suicide_intent", r"\b(?:my|a) suicide (?:note|letter|plan)\b"),
    ("self_harm", r"\b(?:cut|cutting|hurt|hurting|harm|harming|burn|burning) (?:my ?self|my wrists?)\b"),
    ("self_harm", r"\bself[- ]harm(?:ing|ed)?\b"),
    ("overdose", r"\b(?:overdose|od) on (?:my |some |the |all )*(?:pills|meds|medication|tablets)\b"),
)
_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in _RULES)
_APOSTROPHE = re.compile("[`\u00b4\u02bc\u02b9\u2018\u2019\u201b\u2032\uff07]")
_FIGURES = re.compile(
    r"\b(?:(?:die|dead|died|kill myself) (?:of |from )?(?:laughing|laughter|cringe|embarrassment|boredom)"
    r"|(?:cut|cutting|hurt|burn) (?:myself )?(?:(?:while |when )?(?:i was )?"
    r"(?:shaving|cooking|slicing|chopping|peeling|playing|running|training|climbing|lifting)|some slack))\b"
)

HELP: dict[str, tuple[str, ...]] = {
    "any": ("https://findahelpline.com lists free, confidential lines by country", "In immediate danger call your "
            "local emergency number (112 in the EU, 911 in the US, 999 in the UK)"),
    "US": ("Call or text 988 (Suicide & Crisis Lifeline)",),
    "GB": ("Call Samaritans on 116 123",),
    "DE": ("TelefonSeelsorge: 0800 111 0 111 oder 116 123",),
    "DK": ("Livslinien: 70 201 201",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Safety:
    """The route to human help."""

    rule: str
    """Which kind of statement was recognised."""
    message: str
    resources: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """As the API shows it."""
        return {
            "level": "crisis",
            "rule": self.rule,
            "message": self.message,
            "resources": list(self.resources),
        }


def notice_crisis(text: str, country: str | None = None) -> Safety | None:
    """The route to help if `text` says that its writer may hurt themselves; else None.

    >>> notice_crisis("I don't want to live anymore").rule
    'wish_to_die'
    >>> notice_crisis("I want to kill myself", "US").resources[0]
    'Call or text 988 (Suicide & Crisis Lifeline)'
    >>> notice_crisis("I nearly died laughing") is None
    True
    >>> notice_crisis("Traffic was murder, kill the lights") is None
    True
    """
    plain = _FIGURES.sub(" ", clean(_APOSTROPHE.sub("'", text)).lower())
    for name, pattern in _COMPILED:
        if pattern.search(plain):
            return Safety(
                rule=name,
                message="It sounds as if you may be going through something very hard. You deserve to talk to a "
                "person about it, now. I am a machine and can't replace that.",
                resources=HELP.get((country or "").upper(), ()) + HELP["any"],
            )
    return None
