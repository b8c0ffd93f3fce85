"""Turn trained heads into graphs behind the stem: models/voice and models/voice-open, and a folder per fold.

    python -m scripts.voice.export                     # the shipped heads
    python -m scripts.voice.export --folds             # every other WORK/heads/... -> WORK/models/...

A graph holds the heads of all seeds of a job and averages their logits. Its temperatures come from heads that never
heard the clips they are fitted on: other folds, or, for a head that meets strangers, corpora that were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from tqdm import tqdm

from assistant.inference.model import onnx_session
from scripts.cards.card import read_card, write_card, write_golden
from scripts.paths import ROOT
from scripts.voice.data import LEVELS, OPEN, STRESS, Array, Clips, arguments
from scripts.voice.export_stem import SHIPPED as STEM_FOLDER
from scripts.voice.export_stem import golden_audio
from scripts.voice.head import Attention, Linear, centred, speaker_means
from scripts.voice.quality import QUALITIES, Examples, examples, fit_quality, noises_of
from scripts.voice.states import LOUD
from scripts.voice.stem_graph import halve, strip
from scripts.voice.train import STEM, Head, Job, Material, jobs, material, seeds_of

MODELS = ROOT / "models"
NAMES = {"shipped": "voice", "open": "voice-open"}
FINE = 0.1
"""Below this probability of one voice, well heard, a clip is not read."""
NEUTRAL = 0.35
"""Share of neutral speech in the mean speaker's usual: between acted corpora (0.2) and daily life (0.8), so that a
baseline around it helps speakers of both kinds."""
LEAST_DEVIATION, MOST_DEVIATION = 0.1, 1.0
SUMMARY = (
    "Emotion, valence, arousal and stress from 0.5 to 15 s of speech: an estimate of expression, learned from "
    "actors. Stress is the probability of anger or fear; no corpus of labelled stress is behind it. It abstains "
    "where it hears no speech, too much noise or several people at once."
)
LICENCES = {
    "shipped": "Not for commercial use without asking: the stem is OpenAI's Whisper base (MIT), but some of the "
    "corpora that trained this head are non-commercial (RAVDESS: CC BY-NC-SA 4.0) or state no open licence "
    "(EmoTale, ASED, BAVED). voice-open is free of them.",
    "open": "The stem is OpenAI's Whisper base (MIT); this head learned only from EmoDB (free of charge, cite), "
    "BanglaSER (CC BY 4.0), EmoGator (Apache 2.0) and sounds under CC BY 3.0 and Apache 2.0.",
}
CORPUS = {
    "ravdess": ("CC BY-NC-SA 4.0", "English, acted; actors 16, 17 and 18 left out"),
    "emodb": ("free of charge, cite", "German, acted; boredom left out of the emotions"),
    "emotale": (
        "no open licence, cite",
        "Danish and English, acted; with three raters each for valence and arousal",
    ),
    "banglaser": ("CC BY 4.0", "Bangla, acted"),
    "ased": ("none stated, cite", "Amharic, acted, validated by judges"),
    "baved": ("none stated, cite", "Arabic, three levels of arousal; for arousal alone"),
    "emogator": ("Apache 2.0", "vocal bursts without words, of seven emotions"),
    "esc10": ("CC BY 3.0", "sounds without speech; only to tell when to abstain"),
    "nonspeech100": ("for research", "sounds without speech; only to tell when to abstain"),
    "picovoice_kitchen": ("Apache 2.0", "noise of a kitchen; to disturb clips with"),
    "picovoice_s2i": ("Apache 2.0", "commands; a murmur of six of them at once, to disturb clips with"),
}
SOUNDS = {"esc10": 400, "nonspeech100": 98, "picovoice_kitchen": 1, "picovoice_s2i": 239}
"""Recordings that no emotion was learned from."""


class Graph(nn.Module):
    """All heads of a job, calibrated: `states` [batch, frames, 3, 512], `loudness` [batch, frames] to `outputs`."""

    outputs = ("emotions", "relative", "affect", "affect_deviation", "stress", "quality")

    def __init__(self, heads: Sequence[Head], tuned: Calibration, quality: Linear) -> None:
        super().__init__()
        first, self.tuned = heads[0], tuned
        self.raw, self.relative = _layer(first.raw), _layer(first.relative)
        self.affect, self.deviation, self.quality = map(_layer, (first.affect, first.deviation, quality))
        self.attention = nn.ModuleList(_merged(head.attention) for head in heads)
        self.stressed = [first.labels.index(name) for name in STRESS if name in first.labels]

    def forward(self, states: Tensor, loudness: Tensor) -> tuple[Tensor, ...]:
        pairs = states.shape[1] // 2
        x = states[:, : 2 * pairs].flatten(2).unflatten(1, (pairs, 2)).mean(dim=2)
        loud = loudness[:, : 2 * pairs].unflatten(1, (pairs, 2)).amax(dim=2)
        words = (loud > LOUD).float()
        even = torch.ones_like(words) / pairs
        weights = torch.stack([words / words.sum(dim=1, keepdim=True), even], dim=1)
        summary, every = _summaries(x, weights).unbind(dim=1)
        whole = torch.cat([every, _summaries(loud[:, :, None], weights)[:, 1]], dim=1)
        both = [attention(x, loud) for attention in self.attention]
        raw = self.raw(summary) + sum(part[0] for part in both) / len(both)
        relative = self.relative(summary) + sum(part[1] for part in both) / len(both)
        emotions = (self.tuned.raw * raw).softmax(dim=1)
        relative = self.tuned.relative * (relative - relative.mean(dim=1, keepdim=True))
        deviation = self.deviation(summary).exp().clamp(LEAST_DEVIATION, MOST_DEVIATION)
        stress = emotions[:, self.stressed].sum(dim=1)
        affect = self.affect(summary).clamp(-1, 1)
        return emotions, relative, affect, deviation, stress, self.quality(whole).softmax(dim=1)


def _summaries(x: Tensor, weights: Tensor) -> Tensor:
    """Means and deviations: [batch, pairs, width] by [batch, kinds, pairs] to [batch, kinds, 2 * width].

    Two products of matrices, which a processor does faster than sums over weighted copies.
    """
    mean = weights @ x
    deviation = ((weights @ (x * x) - mean * mean).clamp(min=0) + 1e-6).sqrt()
    return torch.cat([mean, deviation], dim=2)


def _layer(linear: Linear) -> nn.Linear:
    layer = nn.Linear(linear.weight.shape[1], len(linear.bias))
    layer.load_state_dict({"weight": torch.from_numpy(linear.weight), "bias": torch.from_numpy(linear.bias)})
    return layer


def _merged(attention: Attention) -> Attention:
    """With the standardisation of its input inside its first layer, and weights that fp16 can hold."""
    enter = attention.enter
    with torch.no_grad():
        enter.weight /= attention.spread
        enter.bias -= enter.weight @ attention.center
        enter.weight.copy_(enter.weight.half().float())
        attention.center.zero_()
        attention.spread.fill_(1)
    return attention.eval()


@dataclass(frozen=True)
class Calibration:
    """What is fitted on clips that the heads never heard."""

    raw: float
    """Factor of the raw logits, the inverse of a temperature."""
    relative: float
    center: Array
    """The observation of a mean speaker: where a baseline begins."""
    spread: Array
    """The standard deviation between speakers of one corpus of their mean observations."""


def temperature(groups: Sequence[tuple[Array, Array]]) -> float:
    """The factor that makes softmax(factor * logits) the most likely, all groups of (logits, target) alike.

    Source: Guo et al. 2017.
    """
    factors = np.geomspace(0.2, 5, 120)
    return float(
        min(factors, key=lambda factor: sum(_surprise(logits * factor, target) for logits, target in groups))
    )


def _surprise(logits: Array, target: Array) -> float:
    top = logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(target)), target]
    return float(np.mean(np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0] - chosen))


@dataclass(frozen=True)
class Trained:
    """A job with the heads of its seeds, and their mean logits of the clips that it is tested on."""

    job: Job
    heads: tuple[Head, ...]

    def mean(self, name: str) -> Array:
        return np.asarray(np.mean([head.test[name] for head in self.heads], axis=0))

    def groups(self, have: Material) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Raw and relative logits, with the target; the relative ones without the speaker's own mean."""
        rows = self.heads[0].test["rows"]
        target = np.array([self.job.labels.index(name) for name in self.job.names[rows]])
        relative, who = self.mean("relative"), have.clips.who[rows]
        means, index = speaker_means(relative, who)
        center = np.mean([head.center for head in self.heads], axis=0)
        return (self.mean("raw"), target), (relative - means[index] + center, target)


def judges(job: Job, every: Sequence[Trained], *, same_labels: bool = False) -> list[Trained]:
    """Whose readings of unheard clips calibrate a job: the other folds of its group.

    A shipped head meets strangers, so its temperatures are those of heads that had a whole corpus left out; with
    `same_labels` the judges are those that name the same emotions.
    """
    group = {"shipped": "multi" if same_labels else "cross", "open": "open"}.get(job.name, job.name.split("/")[0])
    return [one for one in every if one.job.name.startswith(f"{group}/") and one.job.name != job.name]


def calibrated(job: Job, every: Sequence[Trained], have: Material) -> Calibration:
    """Temperatures, and the observation of a mean speaker, from clips that the judges never heard."""
    pairs = [judge.groups(have) for judge in judges(job, every)]
    raw, relative = (temperature([pair[index] for pair in pairs]) for index in (0, 1))
    seen, rows = [], []
    for judge in judges(job, every, same_labels=True):
        logits = judge.mean("relative")
        ratios = relative * (logits - logits.mean(axis=1, keepdims=True))
        seen.append(np.concatenate([ratios[:, :-1], np.clip(judge.mean("affect"), -1, 1)], axis=1))
        rows.append(judge.heads[0].test["rows"])
    observed, clips = np.concatenate(seen), have.clips.where(np.concatenate(rows))
    means, _ = speaker_means(observed, clips.who)
    _, at = np.unique(clips.who, return_index=True)
    return Calibration(raw, relative, mean_speaker(observed, clips), centred(means, clips.corpus[at]).std(axis=0))


def mean_speaker(observations: Array, clips: Clips) -> Array:
    """The mean over speakers of their observations, neutral speech counting by its usual share."""
    neutral = clips.shared == "neutral"

    def mean(rows: Array) -> Array:
        return np.asarray(speaker_means(observations[rows], clips.who[rows])[0].mean(axis=0))

    return NEUTRAL * mean(neutral) + (1 - NEUTRAL) * mean(~neutral)


def unheard(job: Job, made: Examples, have: Material) -> tuple[str, ...]:
    """Sources that must not teach the quality head.

    Those are the tested speakers, or the whole corpus where all are of one; for `multi` also a part of the noises,
    and for `open` all that is not free.
    """
    group = job.name.split("/")[0]
    if group in ("multi", "shipped"):
        speakers = set(have.clips.who[job.test])
        return tuple(sorted(speakers | (set(noises_of(int(job.name[-1]))) if group == "multi" else set())))
    corpora, names = {*have.clips.corpus[job.test]}, {str(name) for name in made.source.flat} - {""}
    if group == "open":
        corpora |= {source.split("/")[0] for source in names} - {*OPEN, "esc10"}
    return tuple(sorted(source for source in names if source.split("/")[0] in corpora))


def write_folder(folder: Path, key: str, graph: Graph, labels: Sequence[str], rows: Array, have: Material) -> None:
    """model.onnx, card.toml and golden.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    batch, frames = torch.export.Dim("batch"), torch.export.Dim("frames", min=24, max=750)
    torch.onnx.export(
        graph.eval(),
        (torch.randn(2, 131, 3, 512), -torch.rand(2, 131)),
        path,
        input_names=["states", "loudness"],
        output_names=list(Graph.outputs),
        dynamic_shapes={"states": {0: batch, 1: frames}, "loudness": {0: batch, 1: frames}},
        opset_version=20,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    name_sizes(model)
    halve(model)
    strip(model)
    onnx.save(model, path)
    stem = read_card(STEM_FOLDER)
    card: dict[str, object] = {
        "name": NAMES.get(key, f"voice-{key.replace('/', '-')}"),
        "kind": "voice",
        "version": "2",
        "licence": LICENCES["open" if key.startswith("open") else "shipped"],
        "summary": SUMMARY,
        "labels": list(labels),
        "qualities": list(QUALITIES),
        "stem": stem["name"],
        "stem_sha256": stem["sha256"],
        "golden_tolerance": 0.02,
        "fine_threshold": FINE,
        "population": {
            name: [round(float(value), 4) for value in getattr(graph.tuned, name)] for name in ("center", "spread")
        },
    }
    if key in NAMES:
        names, counts = np.unique(have.clips.corpus[rows], return_counts=True)
        sounds = {name: size for name, size in SOUNDS.items() if key != "open" or name != "nonspeech100"}
        sizes = dict(zip(names, counts, strict=True)) | sounds
        keys = ("name", "licence", "rows", "note")
        card["training_data"] = [
            dict(zip(keys, (name, CORPUS[name][0], int(size), CORPUS[name][1]), strict=True))
            for name, size in sizes.items()
        ]
    write_card(folder, card)
    session = onnx_session(STEM_FOLDER / "model.onnx")
    states, loudness = session.run(None, {"audio": golden_audio()})
    write_golden(folder, {"states": states, "loudness": loudness})


def name_sizes(model: onnx.ModelProto) -> None:
    """Call the sizes that vary `batch` and `frames`; the exporter calls some by a formula."""
    for node in (*model.graph.input, *model.graph.output):
        names = ["batch", "frames"] if node.name in ("states", "loudness") else ["batch"]
        for size, word in zip(node.type.tensor_type.shape.dim, names, strict=False):
            size.dim_param = word


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--folds", action="store_true", help="write the fold heads' folders to WORK/models instead")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder for the shipped folders (%(default)s)")
    parser.add_argument("--only", nargs="*", metavar="GROUP", help="of the folds: ravdess, multi, cross, ...")
    options = parser.parse_args()
    torch.set_num_threads(1)
    have, made = material(options.data, options.work), examples(STEM, options.data, options.work)
    every = []
    for job in jobs(have.clips, True):
        paths = [options.work / "heads" / job.name / f"{seed}.pt" for seed in seeds_of(job)]
        if all(path.exists() for path in paths):
            every.append(Trained(job, tuple(Head.load(path) for path in paths)))
    chosen = [one for one in every if (one.job.name in NAMES) != options.folds]
    chosen = [one for one in chosen if not options.only or one.job.name.split("/")[0] in options.only]
    known: dict[tuple[str, ...], Linear] = {}
    for one in tqdm(chosen, desc="graphs"):
        tuned, out = calibrated(one.job, every, have), unheard(one.job, made, have)
        if out not in known:
            known[out] = fit_quality(made, np.array(out))
        graph = Graph(one.heads, tuned, known[out])
        folder = (
            options.out / NAMES[one.job.name] if one.job.name in NAMES else options.work / "models" / one.job.name
        )
        rows = one.job.train | (np.isin(have.clips.corpus, LEVELS) & (one.job.name == "shipped"))
        write_folder(folder, one.job.name, graph, one.job.labels, rows, have)
        tqdm.write(f"{folder}: {(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB, "
                   f"temperatures {1 / tuned.raw:.2f} and {1 / tuned.relative:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
