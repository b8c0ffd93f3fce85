"""Train the voice heads on the frozen stem: hear every clip once, then fit heads that each miss some speakers.

    python -m scripts.voice.train                      # the shipped heads, voice and voice-open
    python -m scripts.voice.train --folds              # and the heads of every fold over speakers or corpora
    python -m scripts.voice.train --folds --only cross # some of them; several such runs share the work

Clips are heard by models/stem and kept in WORK/states; each head is kept in WORK/heads, so a run that was stopped
goes on where it was. export.py turns heads into graphs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import recall_score
from tqdm import tqdm

from scripts.paths import ROOT
from scripts.voice.data import (
    BURSTS,
    COMMON,
    CORPORA,
    EMOTIONS,
    FOLDS,
    LEVELS,
    OPEN,
    Array,
    Clips,
    arguments,
    list_clips,
    places,
    read_votes,
)
from scripts.voice.head import (
    Attention,
    Linear,
    Recipe,
    Task,
    centred,
    fit_attention,
    fit_ridge,
    fit_softmax,
    read,
    speaker_means,
)
from scripts.voice.states import Heard, hear, kept_by

STEM = ROOT / "models" / "stem" / "model.onnx"
SEEDS = (0, 1, 2)
"""Of the heads of one corpus and of those with a corpus left out; a shipped head joins two."""
EVERY = (*CORPORA, *LEVELS, BURSTS)
PENALTY = 1500.0
"""Of the linear reading of all copies."""
WITHIN, ACROSS = 350.0, 1000.0
"""Of its relative half, which learns from the clean clips alone, within one corpus and across several."""
CLIPS, AGAIN = 18_000, 8
"""How many clips the attention hears within one corpus, however large it is; how often each across corpora."""
SHARE = 2 / 3
"""Of the attention in the sum with the linear reading; they have the same spread."""
RIDGE = 1.0
ANCHOR = 0.3
"""Weight of all clips that have an emotion but no ratings, where the rated clips weigh 1."""
USUAL = {"fear": (-0.64, 0.6), "disgust": (-0.6, 0.35), "surprise": (0.4, 0.67)}
"""Valence and arousal of emotions that EmoTale lacks: Russell & Mehrabian 1977."""
OPEN_USUAL = USUAL | {"anger": (-0.51, 0.59), "joy": (0.81, 0.51), "sadness": (-0.63, -0.27), "neutral": (0.0, 0.0)}
"""And of the others, for a model that may not learn from EmoTale's ratings."""


@dataclass(frozen=True)
class Job:
    """One set of heads: which rows train it, which rows it is tested on, under which class names."""

    name: str
    labels: tuple[str, ...]
    train: Array
    test: Array
    names: Array
    across: bool
    """Several corpora train it."""


def jobs(clips: Clips, with_folds: bool) -> Iterator[Job]:
    """The shipped heads; then, for measuring, folds within a corpus, over several, and one corpus left out."""
    held, shared = clips.held, clips.shared
    speech = np.isin(clips.corpus, CORPORA)
    usable = ~held & (shared != "") & speech
    free = (shared != "") & np.isin(clips.corpus, (*OPEN, BURSTS))
    yield Job("shipped", EMOTIONS, usable, held, shared, True)
    yield Job("open", EMOTIONS, free, held, shared, True)
    if not with_folds:
        return
    for corpus in (name for name in CORPORA if name in FOLDS):
        inside = clips.corpus == corpus
        place = places(clips, inside, FOLDS[corpus])
        for fold in range(FOLDS[corpus]):
            labels = tuple(sorted(set(clips.emotion[inside])))
            yield Job(
                f"{corpus}/{fold}", labels, inside & (place != fold), inside & (place == fold), clips.emotion, False
            )
    place = places(clips, usable, FOLDS["multi"])
    for fold in range(FOLDS["multi"]):
        yield Job(f"multi/{fold}", EMOTIONS, usable & (place != fold), usable & (place == fold), shared, True)
    for corpus in OPEN:
        inside = clips.corpus == corpus
        yield Job(f"open/{corpus}", EMOTIONS, free & ~inside, free & inside, shared, True)
    common = np.isin(shared, COMMON) & speech
    for corpus in CORPORA:
        inside = clips.corpus == corpus
        yield Job(f"cross/{corpus}", COMMON, common & ~inside, common & inside, shared, True)


def seeds_of(job: Job) -> tuple[int, ...]:
    """The seeds whose heads a graph joins."""
    return SEEDS if job.name.split("/")[0] in (*CORPORA, "cross") else SEEDS[:2]


@dataclass(frozen=True)
class Head:
    """What a job learned, not calibrated yet. Logits are the sum of both parts; so are the relative ones."""

    labels: tuple[str, ...]
    raw: Linear
    relative: Linear
    attention: Attention
    center: Array
    """The relative logits of a mean speaker, [classes]."""
    affect: Linear
    deviation: Linear
    test: dict[str, Array]
    """Of the tested clips: `rows`, `raw` and `relative` [n, classes], `affect` [n, 2]."""

    @staticmethod
    def load(path: Path) -> Head:
        return Head(**torch.load(path, weights_only=False))

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        torch.save({name: getattr(self, name) for name in self.__dataclass_fields__}, draft)
        draft.replace(path)


Known = dict[tuple[str, str], tuple[Linear, Linear]]
"""What was fitted without a seed, by what it reads and by the job or the corpus that it was fitted for."""


@dataclass(frozen=True)
class Material:
    """All clips with what the stem heard."""

    clips: Clips
    heard: Heard
    summaries: Array
    """[copies, n, 2 * width]: mean and deviation of every copy."""
    votes: Array
    """How many of the listeners heard what was meant, [n]; NaN where nobody was asked."""

    @property
    def clean(self) -> Array:
        """[n, 2 * width]: of the clips as they are."""
        return np.asarray(self.summaries[0])


def fit(job: Job, seed: int, have: Material, known: Known) -> Head:
    """Train one set of heads. `known` keeps what has no seed, for the next ones."""
    clips, rows = have.clips, np.flatnonzero(job.train)
    tested = np.flatnonzero(job.test & np.isin(job.names, job.labels))
    target = np.array([job.labels.index(name) for name in job.names[rows]])
    task = Task(clips.where(rows), target, len(job.labels), softened(target, len(job.labels), have.votes[rows]))
    if ("emotion", job.name) not in known:
        known["emotion", job.name] = fit_linear(have.summaries[:, rows], task, ACROSS if job.across else WITHIN)
    raw, relative = known["emotion", job.name]
    epochs = AGAIN if job.across else max(4, min(20, round(CLIPS / len(rows))))
    attention = fit_attention(have.heard, rows, task, seed, Recipe(epochs=epochs))
    first, second = read(attention, have.heard, rows)
    _scale(attention.raw, SHARE / spread(first))
    _scale(attention.relative, SHARE / spread(centred(second, task.clips.who)))
    center = relative.bias + attention.relative.bias.detach().numpy()
    # from now on the relative parts are those of a mean speaker, whoever speaks
    means, _ = speaker_means(have.clean[rows], task.clips.who)
    relative = replace(relative, bias=relative.bias - relative.weight @ means.mean(axis=0))
    second = read(attention, have.heard, rows)[1]
    means, _ = speaker_means(second - attention.relative.bias.detach().numpy(), task.clips.who)
    with torch.no_grad():
        attention.relative.bias -= torch.from_numpy(means.mean(axis=0)).float()
    corpora = set(clips.corpus[job.test])
    alone = job.name.split("/")[0] in (*CORPORA, "cross")  # these are not asked for affect: the whole corpus is out
    key = ("affect", corpora.pop() if alone else job.name)
    if key not in known:
        out = clips.corpus == key[1] if alone else np.isin(clips.who, clips.who[job.test])
        known[key] = fit_affect(out, have, free=job.name.startswith("open"))
    affect, deviation = known[key]
    first, second = read(attention, have.heard, tested)
    return Head(
        job.labels, raw, relative, attention, center, affect, deviation,
        {"rows": tested, "raw": raw(have.clean[tested]) + first,
         "relative": relative(have.clean[tested]) + second, "affect": affect(have.clean[tested])},
    )  # fmt: skip


def fit_linear(seen: Array, task: Task, penalty: float) -> tuple[Linear, Linear]:
    """The linear reading of copies [copies, rows, width], and its relative half.

    The first needs the copies, or noise misleads it; the second reads unknown corpora worse with them.
    """
    many = task.repeated(len(seen))
    raw = fit_softmax(seen.reshape(len(many.target), -1), many, PENALTY)
    own = centred(seen[0], task.clips.who)
    relative = fit_softmax(own, task, penalty)
    return (
        raw.scaled((1 - SHARE) / spread(raw(seen[0]))),
        relative.scaled((1 - SHARE) / spread(relative(own))),
    )


def softened(target: Array, classes: int, votes: Array) -> Array:
    """Targets [n, classes]: what was meant keeps the share of listeners who heard it, at least half."""
    sure = np.where(np.isnan(votes), 1.0, np.clip(votes, 0.5, 1.0))
    soft = np.repeat(((1 - sure) / (classes - 1))[:, None], classes, axis=1)
    soft[np.arange(len(target)), target] = sure
    return soft


def spread(logits: Array) -> float:
    """Deviation of the logits of a clip around their mean."""
    return float(np.std(logits - logits.mean(axis=1, keepdims=True)))


def _scale(layer: torch.nn.Linear, factor: float) -> None:
    with torch.no_grad():
        layer.weight *= factor
        layer.bias *= factor


def fit_affect(out: Array, have: Material, *, free: bool) -> tuple[Linear, Linear]:
    """Valence and arousal, and the log of their deviations: larger where speakers left out were misjudged.

    Clips that nobody rated get what is usual for their emotion, and ANCHOR times the weight of the rated ones. That
    costs a little on the rated corpus and tells joy from anger better on corpora it was not trained on. Rows that
    are `out` [n] never count, nor for a `free` head those of corpora without a free licence; where that leaves no
    rated clip, what is usual is all there is.
    """
    clips = have.clips
    allowed = ~out & ~clips.held
    rated = allowed & ~np.isnan(clips.affect[:, 0]) & (not free)
    levels = allowed & np.isin(clips.corpus, LEVELS) & (not free)
    others = allowed & (clips.shared != "") & ~rated & (np.isin(clips.corpus, OPEN if free else CORPORA))
    usual = OPEN_USUAL
    if rated.any():
        usual = usual | {name: clips.affect[rated & (clips.shared == name)].mean(axis=0)
                         for name in set(clips.shared[rated]) - {""}}  # fmt: skip
    goal = clips.affect.copy()
    goal[others] = [usual[name] for name in clips.shared[others]]

    def fitted(without: Array) -> Linear:
        parts = []
        for axis in (0, 1):
            groups = [rated & ~without, others & ~without, *([levels & ~without] if axis else [])]
            groups = [rows for rows in groups if rows.any()]
            weights = [1.0 if rows is groups[0] else ANCHOR for rows in groups]
            rows = np.concatenate([np.flatnonzero(rows) for rows in groups])
            weight = np.concatenate([np.full(g.sum(), w / g.sum()) for g, w in zip(groups, weights, strict=True)])
            parts.append(fit_ridge(have.clean[rows], goal[rows, axis : axis + 1], weight, RIDGE))
        return Linear(np.concatenate([p.weight for p in parts]), np.concatenate([p.bias for p in parts]))

    base = rated if rated.any() else others
    place, guess = places(clips, base, 4), np.zeros((len(clips), 2))
    for fold in range(4):
        rows = place == fold
        guess[rows] = fitted(rows)(have.clean[rows])
    residual = np.abs(guess[base] - goal[base])
    size = fit_ridge(have.clean[base], np.log(residual + 0.05), np.ones(base.sum()), 10.0)
    scale = np.sqrt(np.mean((residual / np.exp(size(have.clean[base]))) ** 2, axis=0))
    return fitted(np.zeros(len(clips), bool)), size.scaled(1.0, np.log(scale))


def material(data: Path, work: Path) -> Material:
    clips, heard = list_clips(EVERY, data), hear(EVERY, STEM, data, work)
    path = kept_by(STEM, work) / "summaries.npy"
    if not path.exists():
        np.save(path, heard.summaries())
    return Material(clips, heard, np.load(path, mmap_mode="r"), read_votes(clips, data))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="%(default)s")
    parser.add_argument("--folds", action="store_true", help="also train the heads that figures are measured with")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch (%(default)s)")
    parser.add_argument("--only", nargs="*", metavar="GROUP", help="ravdess, multi, cross, shipped, ...")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    have = material(options.data, options.work)
    told: dict[str, list[Any]] = {}
    known: Known = {}
    todo = [
        (job, seed) for seed in options.seeds for job in jobs(have.clips, options.folds) if seed in seeds_of(job)
    ]
    bar = tqdm(
        [(job, seed) for job, seed in todo if not options.only or job.name.split("/")[0] in options.only],
        desc="heads",
    )
    for job, seed in bar:
        bar.set_postfix_str(f"{job.name}, seed {seed}")
        path = options.work / "heads" / job.name / f"{seed}.pt"
        if not path.exists():
            fit(job, seed, have, known).save(path)
        test = Head.load(path).test
        fair = have.clips.honest[test["rows"]]
        group = job.name if job.name.startswith("cross") else job.name.split("/")[0]
        told.setdefault(group, []).append(
            (job.names[test["rows"]][fair], np.array(job.labels)[test["raw"].argmax(axis=1)][fair])
        )
    for group, parts in told.items():
        truth, guess = (np.concatenate(part) for part in zip(*parts, strict=True))
        print(f"{group}: UAR {recall_score(truth, guess, average='macro'):.3f} over {len(truth)} readings")


if __name__ == "__main__":
    main()
