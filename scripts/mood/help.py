"""Does the mood help? Compare the tone that is chosen with what skilled supporters did, on ESConv and EPITOME.

    python -m scripts.mood.help

No model learns here, and no threshold is chosen. What counts as agreement was written down before any figure was
computed, and stands in the tables below. The tone is that of the shipped policy for an empty profile, with the mood
that the served text reader and the fusion give; beside it stands the tone of the same policy without the mood,
which is the same for nearly every turn; the tone for somebody else at the same place of their dialogue; and the
answer that is commonest in the data. Balanced accuracy (mean recall of yes and no) is .5 for whatever never changes
its mind. Intervals are 95 % bootstrap over dialogues or over the posts that were answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assistant.emotion import Mood
from assistant.evaluate.figures import metrics
from assistant.evaluate.tables.sessions import Rules, SessionTurn, follow_turns
from assistant.mood.conformal import read_calibration
from assistant.profile.person import Profile
from assistant.tone.directive import Manner
from assistant.tone.policy import NOTHING, direct
from assistant.tone.situation import Situation
from scripts.mood.data import epitome, esconv, read_texts
from scripts.mood.lab import Statistic, figures_of, less, ranked, record, scored
from scripts.mood.measure import keep
from scripts.voice.data import arguments

STEP_S = 30.0
"""Seconds taken to lie between two turns of ESConv, which has no times."""

ACKNOWLEDGES = {
    "Reflection of feelings": True,
    "Affirmation and Reassurance": True,
    "Restatement or Paraphrasing": True,
    "Question": False,
    "Self-disclosure": False,
    "Providing Suggestions": False,
    "Information": False,
}
"""ESConv: does this strategy take up what was said or felt? Against `acknowledgement` other than `none`."""
EXPLICIT = {
    **dict.fromkeys(ACKNOWLEDGES, False),
    "Reflection of feelings": True,
    "Affirmation and Reassurance": True,
}
"""ESConv: does it take up the feeling? Against `acknowledgement` as `explicit`."""
GENTLE = {
    "Question": True,
    "Restatement or Paraphrasing": True,
    "Reflection of feelings": True,
    "Affirmation and Reassurance": True,
    "Self-disclosure": True,
    "Providing Suggestions": False,
    "Information": False,
}
"""ESConv: does it leave the lead to the person? Against `directness` as `gentle`. `Others` is left out of all."""
LEVELS = {
    "emotional-reactions": lambda manner: manner.warmth == "very_warm",
    "interpretations": lambda manner: manner.acknowledgement != "none",
    "explorations": lambda manner: manner.directness == "gentle",
}
"""EPITOME: which choice stands for a response whose level of this mechanism is 1 or 2."""

Choice = Callable[[Manner], bool]


@dataclass(frozen=True)
class Case:
    """What one supporter faced: the tone with and without the mood, and the mood."""

    cluster: str
    mood: Mood | None
    manner: Manner
    blind: Manner
    did: Any
    place: int = 1
    """Which turn of the person it answers."""


def tones(turns: Sequence[SessionTurn], places: Sequence[int]) -> list[tuple[Mood | None, Manner, Manner]]:
    """The tone after each turn, held steady within its session; `places` counts the turns of a session from 1."""
    found = []
    held, session = NOTHING, None
    rules = Rules(calibration=read_calibration())
    for turn, mood, place in zip(turns, follow_turns(turns, rules), places, strict=True):
        held, session = held if turn.session == session else NOTHING, turn.session
        directive, held = direct(Situation(Profile(), mood, turns=place), held=held, now=turn.at_s)
        found.append((mood, directive.manner, directive.without_mood))
    return found


def esconv_cases(options: Any) -> list[Case]:
    """Each supporter turn that answers the seeker, with the tone chosen from all that the seeker wrote before."""
    turns: list[SessionTurn] = []
    places: list[int] = []
    asked: list[tuple[int, str]] = []
    for split in ("valid", "train"):
        dialogues = esconv(options.data, split)
        texts = [part["text"] for dialogue in dialogues for part in dialogue["dialog"] if part["speaker"] == "usr"]
        read = iter(read_texts(texts, options.work / "mood"))
        for number, dialogue in enumerate(dialogues):
            place, answered = 0, True
            for at, part in enumerate(dialogue["dialog"]):
                if part["speaker"] == "usr":
                    place, answered = place + 1, False
                    turns.append(SessionTurn(f"{split} {number}", at * STEP_S, scored(next(read))))
                    places.append(place)
                elif not answered:
                    answered = True
                    asked.append((len(turns) - 1, part["strategy"]))
    told = tones(turns, places)
    return [
        Case(turns[at].session, *told[at], strategy, places[at])
        for at, strategy in asked
        if strategy in ACKNOWLEDGES
    ]


def epitome_cases(options: Any, mechanism: str) -> list[Case]:
    """Each response to a post, with the tone chosen from the post."""
    rows = epitome(options.data, mechanism)
    read = read_texts([row["seeker_post"] for row in rows], options.work / "mood")
    turns = [SessionTurn(f"{at}", 0.0, scored(outcome)) for at, outcome in enumerate(read)]
    told = tones(turns, [1] * len(turns))
    return [Case(row["sp_id"], *one, int(row["level"])) for row, one in zip(rows, told, strict=True)]


def exchanged(cases: Sequence[Case]) -> list[Case]:
    """For each case another one from the same place of a dialogue: what is left is chance and habit."""
    rng = np.random.default_rng(0)
    found = list(cases)
    for place in {case.place for case in cases}:
        mine = np.flatnonzero([case.place == place for case in cases])
        order = rng.permutation(mine)
        for at, other in zip(order, np.roll(order, 1), strict=True):
            found[at] = cases[other]
    return found


def compared(cases: Sequence[Case], did: np.ndarray, choice: Choice, what: str, data: str) -> list[dict[str, Any]]:
    """How often each tone agrees with what was done. `did` [cases] is yes or no."""
    clusters = metrics.number_clusters([case.cluster for case in cases])
    sides = {
        "with the mood": np.array([choice(case.manner) for case in cases]),
        "without the mood": np.array([choice(case.blind) for case in cases]),
        "with somebody else's mood": np.array([choice(case.manner) for case in exchanged(cases)]),
        "always the commonest": np.full(len(cases), did.mean() >= 0.5),
    }
    statistics: dict[str, Statistic] = {}
    for name, said in sides.items():
        counts = metrics.count_hits(np.stack([did, ~did], axis=1), np.stack([said, ~said], axis=1))
        statistics[f"balanced accuracy|{name}"] = metrics.sum_by_cluster(counts, clusters, metrics.uar)
        statistics[f"accuracy|{name}"] = metrics.sum_by_cluster(counts, clusters, metrics.accuracy)
    for measure in ("balanced accuracy", "accuracy"):
        mine = statistics[f"{measure}|with the mood"]
        for name in ("without the mood", "with somebody else's mood", "always the commonest"):
            other = statistics[f"{measure}|{name}"]
            statistics[f"difference of {measure}|the mood less {name}"] = less(mine, other)
    low = np.array([0.0 if case.mood is None else -case.mood.valence.mean for case in cases])
    statistics["auc|unpleasantness of the mood itself"] = ranked(low, did, clusters)
    done = round(float(did.mean()), 3)
    chosen = {name: round(float(said.mean()), 3) for name, said in sides.items()}
    found = []
    for key, figure in figures_of(statistics, clusters).items():
        measure, name = key.split("|")
        more = {"chosen": chosen[name]} if name in chosen else {}
        one = record(measure, f"{data}: {what}; {name}", figure, len(cases), "help", done=done, **more)
        found.append({**one, "command": "python -m scripts.mood.help"})
    return found


def main() -> None:
    options = arguments(__doc__).parse_args()
    cases = esconv_cases(options)
    tables: tuple[tuple[str, Mapping[str, bool], Choice], ...] = (
        ("acknowledges", ACKNOWLEDGES, lambda manner: manner.acknowledgement != "none"),
        ("names the feeling", EXPLICIT, lambda manner: manner.acknowledgement == "explicit"),
        ("leaves the lead", GENTLE, lambda manner: manner.directness == "gentle"),
    )
    found = []
    for what, table, choice in tables:
        did = np.array([table[case.did] for case in cases])
        found += compared(cases, did, choice, what, "ESConv, strategies of supporters")
    for mechanism, choice in LEVELS.items():
        posts = epitome_cases(options, mechanism)
        did = np.array([case.did > 0 for case in posts])
        found += compared(posts, did, choice, mechanism, "EPITOME, responses to posts")
    keep("help", found)
    for one in found:
        interval = f"[{one['low']:.3f}, {one['high']:.3f}]"
        told = f"done {one['done']:.2f}" + (f", chosen {one['chosen']:.2f}" if "chosen" in one else "")
        print(f"{one['measure']:<32} {one['value']:7.3f} {interval}  {one['data']} (n {one['n']}, {told})")


if __name__ == "__main__":
    main()
