"""A directive in words for a language model. Only these sentences, whatever was said or felt."""

from __future__ import annotations

from dataclasses import asdict

from assistant.tone.directive import Manner

SENTENCES: dict[tuple[str, str], str] = {
    ("warmth", "plain"): "Keep a plain, factual tone.",
    ("warmth", "warm"): "Be friendly.",
    ("warmth", "very_warm"): "Be warm and kind.",
    ("formality", "casual"): "Use casual language.",
    ("formality", "formal"): "Use formal language.",
    ("pace", "slow"): "Take one thing at a time.",
    ("pace", "brisk"): "Keep a lively pace.",
    ("verbosity", "brief"): "Use short sentences and few of them.",
    ("directness", "gentle"): "Suggest rather than instruct.",
    ("acknowledgement", "light"): "Show briefly that you listened before you help.",
    ("acknowledgement", "explicit"): "Say that this sounds hard, without claiming to know what the person feels.",
    ("humour", "avoid"): "Make no jokes.",
}


def prompt(manner: Manner) -> str:
    """The fragment for a system prompt.

    >>> prompt(Manner(warmth="very_warm", pace="slow", humour="avoid"))
    'Be warm and kind. Take one thing at a time. Make no jokes.'
    """
    return " ".join(SENTENCES[choice] for choice in asdict(manner).items() if choice in SENTENCES)
