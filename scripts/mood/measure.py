"""Measure the mood: how long readings last, which emotions can't be ruled out, what history and fusion add.

    python -m scripts.mood.measure --folds WORK/models             # everything but `decay` and `trust`
    python -m scripts.mood.measure --folds WORK/models --only decay

WORK is the folder that scripts/voice/train.py, export.py and `measure.py --folds` filled: every clip is read by
a head that never heard its speaker. Intervals are 95 % percentile bootstrap over dialogues or speakers. `sets`
writes assistant/mood/calibration.toml; each part puts its figures in the place of its own in
scripts/mood/figures.toml. `decay` and `trust` only print what the constants in assistant/mood were chosen by.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.emotion import EMOTIONS, Mood
from assistant.evaluate.figures import metrics
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.sessions import Rules, SessionTurn, follow_turns
from assistant.mood import conformal
from assistant.mood.conformal import COVERAGE, LARGEST, read_calibration, score
from scripts.cards.card import toml
from scripts.mood.data import Clip, Line, meld, open_clips
from scripts.mood.dialogue import decay, dialogue, dialogue_turns
from scripts.mood.lab import Figures, Lab, Statistic, figures_of, record, scored, scores_of
from scripts.mood.sessions import fused, halves, moods_of, partnered, simulated, speech, spoken, trust
from scripts.paths import ROOT
from scripts.voice.data import arguments

FIGURES = ROOT / "scripts/mood/figures.toml"


# How long a reading lasts


# Text of dialogues


# Simulated sessions of speech, alone and paired with texts


# Sets of emotions that can't be ruled out


def sets(lab: Lab) -> Figures:
    """Calibrate the sets, measure their coverage on other speakers and dialogues, and write the thresholds."""
    heard = lab.clips()
    folded = simulated([one for one in heard if one[0].fold != "shipped"], seed=3)
    held = simulated([one for one in heard if one[0].fold == "shipped"], seed=3)
    scenes, posts = meld(lab.data, "train"), lab.pool("goemotions")
    read = lab.texts([line.text for line in scenes])
    plain = Rules()

    def written(sessions: Sequence[tuple[str, Clip, RowOutcome]]) -> list[RowOutcome]:
        """Texts for clips: every other one a post, every other one a line of a scene."""
        from_posts = partnered(sessions, posts, seed=4)
        lines = [(o, scenes[at].emotion) for at, o in enumerate(read) if o.scores]
        from_scenes = partnered(sessions, lines, seed=5)
        return [from_posts[at] if at % 2 else from_scenes[at] for at in range(len(sessions))]

    def cases(kind: str, sessions: Sequence[tuple[str, Clip, RowOutcome]]) -> list[tuple[Mood, str, str]]:
        """Moods with what was meant and by whom."""
        texts = written(sessions) if kind == "both" else [None] * len(sessions)
        moods = moods_of(sessions, spoken(sessions, texts), plain)
        return [(m, c.emotion, c.speaker) for m, (_, c, _) in zip(moods, sessions, strict=True) if m and m.emotions]

    def read_lines(lines: Sequence[Line], outcomes: Sequence[RowOutcome]) -> list[tuple[Mood, str, str]]:
        order, turns = dialogue_turns(lines, outcomes)
        moods = zip(order, follow_turns(turns, plain), strict=True)
        return [(m, lines[at].emotion, lines[at].dialogue) for at, m in moods if m and m.emotions]

    in_scenes = read_lines(scenes, read)
    posted = follow_turns(
        [SessionTurn(str(at), 0.0, scored(outcome)) for at, (outcome, _) in enumerate(posts)], plain
    )
    in_posts = [
        (m, emotion, f"post {at}")
        for at, (m, (_, emotion)) in enumerate(zip(posted, posts, strict=True))
        if m and m.emotions
    ]
    rng = np.random.default_rng(6)
    equal = [in_scenes[at] for at in rng.permutation(len(in_scenes))[: len(in_posts)]]
    dev = meld(lab.data, "dev")
    in_dev = read_lines(dev, lab.texts([line.text for line in dev]))
    freely = lab.clips(open_clips)
    open_sessions = simulated(freely, seed=3)
    own = next(scores_of(o).card for c, o in freely if c.corpus == "ravdess")
    open_voice = {"voice": own.fingerprint}
    voice = {"voice": next(scores_of(o).card.fingerprint for clip, o in heard if clip.fold == "shipped")}
    text = {"text": scores_of(posts[0][0]).card.fingerprint}
    pairs = "the clips, each with a text of its emotion from MELD train or GoEmotions dev"
    kinds = {
        "voice": (cases("voice", folded), voice, "five corpora of acted speech"),
        "text": ([*equal, *in_posts], text, "MELD train and GoEmotions dev, as many of each"),
        "both": (cases("both", folded), {**voice, **text}, pairs),
        "voice, voice-open": (
            cases("voice", open_sessions), open_voice, "five corpora of acted speech, read by voice-open"
        ),
        "both, voice-open": (
            cases("both", open_sessions), {**open_voice, **text}, f"{pairs}, read by voice-open"
        ),
    }  # fmt: skip
    others = {
        "voice": {"RAVDESS actors 16 to 18, the shipped head": cases("voice", held)},
        "both": {"RAVDESS actors 16 to 18, the shipped head, with texts": cases("both", held)},
        "text": {"MELD dev alone": in_dev},
    }
    found: Figures = []
    tables = []
    for kind, (known, models, data) in kinds.items():
        scores = np.array([score(mood.emotions, meant) for mood, meant, _ in known])
        half = halves([who for _, _, who in known])
        limit = np.where(half == 0, *[conformal.quantile(scores[half == side].tolist()) for side in (1, 0)])
        found += covered(known, limit, f"{data}; thresholds from the other half of the speakers and dialogues")
        value = conformal.quantile(scores.tolist())
        for name, cases_there in others.get(kind, {}).items():
            found += covered(cases_there, np.full(len(cases_there), value), f"{name}; the shipped threshold")
        if kind == "text":
            post = np.array([who.startswith("post") for _, _, who in known])
            there = [case for case, it in zip(known, post, strict=True) if it]
            found += covered(there, limit[post], "GoEmotions dev alone; thresholds from the other half")
        classes = {name: sum(meant == name for _, meant, _ in known) for name in EMOTIONS}
        tables.append({"modalities": sorted(models), "quantile": round(value, 4), "coverage": COVERAGE,
                       "n": len(known), "data": data, "models": models, "classes": classes})  # fmt: skip
    write_calibration(tables)
    return found


def covered(cases: Sequence[tuple[Mood, str, str]], limit: np.ndarray, data: str) -> Figures:
    """How often sets hold what was meant, how many names they have, and how many are small enough to be said."""
    found = [conformal.emotion_set(mood.emotions, q) for (mood, _, _), q in zip(cases, limit, strict=True)]
    held = np.array([meant in names for names, (_, meant, _) in zip(found, cases, strict=True)], dtype=float)
    size = np.array([len(names) for names in found], dtype=float)
    said = (size <= LARGEST).astype(float)
    clusters = metrics.number_clusters([who for _, _, who in cases])
    ones = np.ones(len(cases))

    def mean(values: np.ndarray, of: np.ndarray) -> Statistic:
        return metrics.sum_by_cluster(np.stack([of, values * of], axis=1), clusters, metrics.share)

    statistics = {
        "coverage of 90 % sets": mean(held, ones),
        "names in a set": mean(size, ones),
        "share of sets small enough to be said": mean(said, ones),
        "coverage of those": mean(held, said),
    }
    each = {
        name: round(float(held[[meant == name for _, meant, _ in cases]].mean()), 3)
        for name in EMOTIONS
        if any(meant == name for _, meant, _ in cases)
    }
    worst = min(each, key=each.__getitem__)
    more = {"coverage of 90 % sets": {"least": each[worst], "least_of": worst}}
    return [
        record(name, data, figure, len(cases), "sets", **more.get(name, {}))
        for name, figure in figures_of(statistics, clusters).items()
    ]


def write_calibration(tables: Sequence[Mapping[str, Any]]) -> None:
    """The thresholds as the product reads them."""
    head = "# Made by scripts/mood/measure.py --only sets; sets of emotions that hold the one that was meant.\n\n"
    blocks = []
    for table in tables:
        flat = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
        inner = {name: value for name, value in table.items() if isinstance(value, Mapping)}
        block = "[[threshold]]\n" + toml(flat)
        block += "".join(f"\n[threshold.{name}]\n{toml(value)}" for name, value in inner.items())
        blocks.append(block)
    conformal.SHIPPED.write_text(head + "\n".join(blocks), encoding="utf-8")
    read_calibration()


PARTS: dict[str, Callable[[Lab], Figures]] = {
    "decay": decay, "trust": trust, "sets": sets, "dialogue": dialogue, "speech": speech, "fused": fused,
}  # fmt: skip


def keep(part: str, found: Figures) -> None:
    """Put the figures of a part in the place of its earlier ones."""
    old = tomllib.loads(FIGURES.read_text(encoding="utf-8"))["figures"] if FIGURES.exists() else []
    kept = [figure for figure in old if figure["part"] != part] + list(found)
    places = [*PARTS, "help"]
    FIGURES.write_text(toml({"figures": sorted(kept, key=lambda one: places.index(one["part"]))}), encoding="utf-8")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--folds", type=Path, required=True, help="models of the folds, as scripts/voice/measure.py reads them"
    )
    parser.add_argument("--only", choices=tuple(PARTS), help="one part (default: all but decay and trust)")
    options = parser.parse_args()
    lab = Lab(options.data, options.folds, options.work / "mood")
    for part in (options.only,) if options.only else ("sets", "dialogue", "speech", "fused"):
        found = PARTS[part](lab)
        if found:
            keep(part, found)
        for one in found:
            floor = f" (floor {one['floor']:.3f})" if "floor" in one else ""
            interval = f"[{one['low']:.3f}, {one['high']:.3f}]"
            print(f"{one['measure']:<40} {one['value']:7.3f} {interval}{floor}  {one['data']}")


if __name__ == "__main__":
    main()
