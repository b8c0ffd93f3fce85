"""The tone for voices and in one line: well-formed, legal, and neutral where there is no mood."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from assistant.profile.person import Profile
from assistant.tone.directive import Manner, Speech
from assistant.tone.policy import choose
from assistant.tone.render import REPLY, speech, ssml, tag
from tests.tone.tones import PLAIN, TENSE, few, manners, many, mood, profiles

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_LEGAL = {
    "rate": re.compile(r"\d+(\.\d+)?%"),
    "pitch": re.compile(r"[+-]\d+(\.\d+)?(%|Hz|st)"),
    "volume": re.compile(r"[+-]\d+(\.\d+)?dB"),
}
"""Values of `prosody` by section 3.2.4 of SSML 1.1, as far as numbers go."""


@many
@given(manners, st.none() | st.text(), st.sampled_from(["en", "de", "fil", '"><x']))
def test_ssml_is_well_formed_and_legal_whatever_the_words(manner: Manner, words: str | None, language: str) -> None:
    root = ElementTree.fromstring(ssml(manner, language, words))
    assert root.tag == "{http://www.w3.org/2001/10/synthesis}speak"
    assert root.attrib == {"version": "1.1", _XML_LANG: language}
    prosody = root.find("{*}prosody")
    assert (prosody is not None) == (speech(manner) != Speech())
    if prosody is not None:
        assert prosody.attrib
        assert all(_LEGAL[name].fullmatch(value) for name, value in prosody.attrib.items())
    inside = root if prosody is None else prosody
    if words is None:
        assert [child.tag.rpartition("}")[2] for child in inside] == ["mark"]
    else:
        assert not len(inside)
        spoken = "".join(c for c in words if c.isprintable())
        assert "".join(c for c in inside.text or "" if c.isprintable()) == spoken.replace("\ufffe", "")


def test_the_reply_takes_the_place_of_the_mark() -> None:
    said = choose(TENSE, PLAIN)
    assert said.ssml.count(REPLY) == 1
    assert said.ssml.replace(REPLY, "Hello") == ssml(said.manner, "en", "Hello")


@few
@given(profiles, st.booleans())
def test_a_voice_is_neutral_where_the_mood_is_absent(profile: Profile, quiet: bool) -> None:
    said = choose(None, profile, quiet=quiet)
    assert said.speech == Speech()
    assert "prosody" not in said.ssml


@few
@given(manners)
def test_a_tag_says_the_whole_manner_in_one_short_line(manner: Manner) -> None:
    line = tag(manner)
    assert dict(pair.split("=") for pair in line.replace("tone=", "warmth=", 1).split(";")) == manner.choices()
    assert line.isascii()
    assert len(line) < 140
    # RFC 9651: a dictionary of one token with parameters that are tokens
    assert re.fullmatch(
        r"[a-z*][a-z0-9_.*-]*=[A-Za-z*][\w:/!#$%&'*+.^`|~-]*(;[a-z*][a-z0-9_.*-]*=[A-Za-z*][\w-]*)*", line
    )


def test_the_counterfactual_is_said_in_words() -> None:
    assert choose(None, PLAIN).counterfactual == "No mood was used."
    assert choose(mood(), PLAIN).counterfactual == "Without the mood the tone would be the same."
    assert choose(TENSE, PLAIN).counterfactual == (
        "Without the mood: warmth warm instead of very warm, pace normal instead of slow, "
        "verbosity normal instead of brief, acknowledgement none instead of light, humour welcome instead of avoid."
    )
