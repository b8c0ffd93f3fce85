"""Export the trained text model: calibrate it on the development splits, quantise it, write models/text.

Temperatures, deviations and thresholds are chosen on the development splits, so figures on those splits are
a little too good.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cards
import numpy as np
import onnx
import quantize
import torch
import weights
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, recall_score, roc_auc_score
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm import tqdm
from train_text import (
    AFFECT,
    AFFECT_UNIT,
    AFFECTS,
    EMOTION,
    LOG_VARIANCE,
    MAX_TOKENS,
    ROOT,
    SENTIMENT,
    SENTIMENTS,
    STRESS,
    Rows,
    TextModel,
    arguments,
    dev_sets,
    emotion_labels,
    padded,
    tokenise,
    train_sets,
    windows,
)

FOLDER = ROOT / "models" / "text"
KEEP_FP32: tuple[str, ...] = ()
"""Products that int8 distorts most, by --sensitivity."""
OUTPUTS = ["emotions", "sentiment", "affect", "affect_deviation", "stress"]
GOLDEN = [
    "Thank you so much, that made my day!",
    "I'm so angry that they cancelled it again without telling anyone.",
    "The meeting is at three o'clock in the small room.",
    "I have three exams tomorrow, I can't sleep and I don't know how to get through this week.",
    "ok",
    "He's gone and I miss him every day 😢",
]


@dataclass(frozen=True)
class Calibration:
    """What makes raw outputs [rows, 38] honest: `raw * scale + shift`, per column."""

    scale: np.ndarray
    shift: np.ndarray


def calibrate(raw: dict[str, np.ndarray], dev: dict[str, Rows]) -> Calibration:
    """Fit per head: Platt scaling (emotions, stress), temperature (sentiment), variance (affect)."""
    scale, shift = np.ones(38, np.float32), np.zeros(38, np.float32)
    scale[EMOTION], shift[EMOTION] = platt(raw["goemotions"][:, EMOTION], dev["goemotions"].targets[:, EMOTION])
    scale[STRESS], shift[STRESS] = platt(raw["dreaddit"][:, STRESS], dev["dreaddit"].targets[:, STRESS])
    tweets = dev["tweeteval_sentiment"].targets[:, SENTIMENT]
    scale[SENTIMENT] = temperature(raw["tweeteval_sentiment"][:, SENTIMENT], tweets)
    target = dev["emobank"].targets[:, AFFECT] / AFFECT_UNIT
    variance = np.exp(raw["emobank"][:, LOG_VARIANCE])
    shift[LOG_VARIANCE] = np.log(np.mean((target - raw["emobank"][:, AFFECT]) ** 2 / variance, 0))
    return Calibration(scale, shift)


def platt(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Slope and offset that make these logits fit best (Platt 1999), one pair for all columns."""
    fit = LogisticRegression(C=1e6).fit(logits.reshape(-1, 1), targets.reshape(-1))
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The factor (one over the temperature of Guo et al. 2017) that makes these logits fit best."""

    def cost(factor: float) -> float:
        return -float((torch.from_numpy(logits * factor).log_softmax(-1).numpy() * targets).sum())

    return float(minimize_scalar(cost, bounds=(0.1, 3), method="bounded").x)


class Served(nn.Module):
    """The graph as served: token numbers in, calibrated estimates out."""

    def __init__(self, model: TextModel, calibration: Calibration) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("scale", torch.from_numpy(calibration.scale))
        self.register_buffer("shift", torch.from_numpy(calibration.shift))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        raw = self.model(input_ids, attention_mask) * self.scale + self.shift
        return (
            raw[:, EMOTION].sigmoid(),
            raw[:, SENTIMENT].softmax(-1),
            (raw[:, AFFECT] * AFFECT_UNIT).clamp(-1, 1),
            (raw[:, LOG_VARIANCE].clamp(-6, 6) / 2).exp() * AFFECT_UNIT,
            raw[:, STRESS].sigmoid(),
        )


class Int8Embedding(nn.Module):
    """Word vectors in int8 with one scale per word: a quarter of the size, nearly the same vectors."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        scale = table.abs().amax(1, keepdim=True).clamp(min=1e-9) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("numbers", (table / scale).round().to(torch.int8))

    def forward(self, ids: Tensor) -> Tensor:
        return nn.functional.embedding(ids, self.numbers).float() * nn.functional.embedding(ids, self.scale)


def load(work: Path, cache: Path) -> TextModel:
    model = TextModel(weights.minilm(cache))
    model.load_state_dict(torch.load(work / "model.pt", weights_only=True))
    return model.eval()


def raw_outputs(model: TextModel, ids: Sequence[list[int]]) -> np.ndarray:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    order = np.argsort([len(row) for row in ids], kind="stable")
    found = np.empty((len(ids), 38), np.float32)
    with torch.inference_mode():
        for part in tqdm(list(windows(len(ids), 32)), desc="raw outputs", unit="batch", mininterval=5):
            feed = padded([ids[place] for place in order[part]])
            batch = {name: torch.from_numpy(value).to(device) for name, value in feed.items()}
            found[order[part]] = model(**batch).cpu().numpy()
    model.cpu()
    return found


def export(served: Served, path: Path) -> None:
    """Write the module as ONNX, any number of texts and tokens, without traces of the machine."""
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", max=512)
    sample = padded([[101, 2023, 102], [101, 2023, 2003, 2417, 102]])
    torch.onnx.export(
        served.eval(),
        tuple(torch.from_numpy(value) for value in sample.values()),
        path,
        input_names=list(sample),
        output_names=OUTPUTS,
        dynamic_shapes={name: {0: batch, 1: tokens} for name in sample},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    graph = onnx.load(path)
    for part in [*graph.graph.node, *graph.graph.value_info, *graph.graph.input, *graph.graph.output]:
        del part.metadata_props[:]
    del graph.graph.metadata_props[:], graph.metadata_props[:]
    onnx.save(graph, path)


def calibration_feeds(ids: Sequence[list[int]], seed: int) -> list[quantize.Feed]:
    """A few hundred training texts of all lengths, in batches of 16 of about the same length."""
    chosen = np.random.default_rng(seed).choice(len(ids), min(512, len(ids)), replace=False)
    rows = sorted((ids[place] for place in chosen), key=len)
    return [padded(rows[part]) for part in windows(len(rows), 16)]


def outputs(path: Path, ids: Sequence[list[int]], rows: int = 32) -> quantize.Feed:
    """The graph's outputs for these texts, run in batches of similar length."""
    session = quantize.open_session(path)
    order = np.argsort([len(row) for row in ids], kind="stable")
    parts = [quantize.run(session, padded([ids[i] for i in order[part]])) for part in windows(len(ids), rows)]
    back = np.argsort(order)
    return {name: np.concatenate([part[name] for part in parts])[back] for name in OUTPUTS}


def best_thresholds(probabilities: np.ndarray, targets: np.ndarray) -> list[float]:
    """For each class the threshold with the best F1."""
    return [best_threshold(*columns) for columns in zip(probabilities.T, targets.T, strict=True)]


def best_threshold(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The middle between two scores where F1 is best when all from there upwards are taken.

    >>> round(best_threshold(np.array([.1, .2, .6, .7]), np.array([0, 0, 1, 1])), 3)
    0.4
    """
    order = np.argsort(-probabilities, kind="stable")
    scores, hits = probabilities[order], np.cumsum(targets[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + targets.sum())
    best = int(np.argmax(f1))
    return round(float((scores[best] + scores[min(best + 1, len(scores) - 1)]) / 2), 4)


def scores(found: dict[str, quantize.Feed], dev: dict[str, Rows], thresholds: Sequence[float]) -> dict[str, float]:
    """A quick look; the figures on the card come from measure_text.py, through the served reader."""
    emotions = found["goemotions"]["emotions"] >= np.array(thresholds)
    tweets, phrases = found["tweeteval_sentiment"]["sentiment"], found["sst2"]["sentiment"]
    affect, stress = found["emobank"]["affect"], found["dreaddit"]["stress"]
    said = dev["emobank"].targets[:, AFFECT]
    z = (said - affect) / found["emobank"]["affect_deviation"]
    return {
        "goemotions macro_f1": f1_score(dev["goemotions"].targets[:, EMOTION], emotions, average="macro"),
        "sentiment macro_recall": recall_score(
            dev["tweeteval_sentiment"].targets[:, SENTIMENT].argmax(1), tweets.argmax(1), average="macro"
        ),
        "sst2 accuracy": float(np.mean((phrases[:, 2] > phrases[:, 0]) == dev["sst2"].targets[:, 30])),
        **{f"pearson {name}": float(np.corrcoef(affect[:, i], said[:, i])[0, 1]) for i, name in enumerate(AFFECTS)},
        "affect within one deviation": float(np.mean(np.abs(z) < 1)),
        "stress f1": f1_score(dev["dreaddit"].targets[:, STRESS], stress >= 0.5),
        "stress auc": roc_auc_score(dev["dreaddit"].targets[:, STRESS], stress),
    }


def compare(fp32: Path, int8: Path, ids: dict[str, list[list[int]]], dev: dict[str, Rows]) -> list[float]:
    """Print how int8 differs from fp32, and return the thresholds chosen for int8."""
    target = dev["goemotions"].targets[:, EMOTION]
    chosen: list[list[float]] = []
    labels: list[np.ndarray] = []
    for path in (fp32, int8):
        started = time.perf_counter()
        found = {name: outputs(path, rows) for name, rows in ids.items()}
        seconds = time.perf_counter() - started
        chosen.append(best_thresholds(found["goemotions"]["emotions"], target))
        labels.append(found["goemotions"]["emotions"] >= np.array(chosen[0]))
        rate = sum(map(len, ids.values())) / seconds
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {rate:.0f} texts/s on one thread")
        for name, value in scores(found, dev, chosen[-1]).items():
            print(f"  {name} {value:.4f}")
    print(f"labels that flip, at fp32's thresholds: {np.mean(labels[0] != labels[1]):.3%}")
    sample = ids["goemotions"][:256]
    alone, together = outputs(int8, sample, rows=1), outputs(int8, sample[::-1], rows=256)
    for name in OUTPUTS:
        change = np.abs(alone[name] - together[name][::-1]).max()
        print(f"  {name}: alone and batched differ by {change:.2e} at most")
    return chosen[1]


def card(labels: list[str], thresholds: list[float], train: dict[str, Rows]) -> dict[str, object]:
    said = train["emobank"].targets[:, AFFECT].astype(float)
    return {
        "name": "text",
        "kind": "text",
        "version": "1",
        "sha256": "",
        "licence": (
            "The weights start from all-MiniLM-L6-v2 (Apache-2.0) and are offered under Apache-2.0; some "
            "training data is share-alike (EmoBank) or was released for research (tweets, SST-2, Dreaddit): "
            "check before commercial use."
        ),
        "summary": (
            "all-MiniLM-L6-v2 with heads for 28 emotions, sentiment, valence/arousal/dominance and stress; one "
            "pass, int8. It estimates what an English text expresses. Temperatures, deviations and thresholds "
            "were chosen on the development splits, so figures on those are a little optimistic."
        ),
        "labels": labels,
        "thresholds": thresholds,
        "sentiment_labels": SENTIMENTS,
        "languages": ["en"],
        "max_tokens": MAX_TOKENS,
        "golden_tolerance": 0.02,
        "population": {
            "affect_mean": said.mean(0).round(4).tolist(),
            "affect_deviation": said.std(0).round(4).tolist(),
            "note": "of EmoBank's training labels, mapped to [-1, 1]",
        },
        "inputs": {},
        "outputs": {},
        "training_data": [{"name": name, "rows": len(rows), **SOURCES[name]} for name, rows in train.items()],
        "figures": [],
    }


SOURCES = {
    "goemotions": {"licence": "Apache-2.0", "note": "28 labels of Reddit comments; Demszky et al. 2020"},
    "semeval2017_task4a": {
        "licence": "none stated; research use, Twitter terms apply",
        "note": "negative, neutral, positive tweets, 10,000 of them per epoch; Rosenthal et al. 2017",
    },
    "sst2": {
        "licence": "none stated; research use",
        "note": "film review phrases, negative or positive, 10,000 of them per epoch; Socher et al. 2013",
    },
    "emobank": {"licence": "CC BY-SA 4.0", "note": "valence, arousal, dominance; Buechel and Hahn 2017"},
    "dreaddit": {
        "licence": "none stated; released for research",
        "note": "stress in Reddit posts, 85 % of its training split by post; Turcan and McKeown 2019",
    },
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write")
    parser.add_argument("--seed", type=int, default=7, help="seed of the choice of texts for quantisation")
    parser.add_argument("--sensitivity", action="store_true", help="only rank the products by what int8 costs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    fp32, slim = options.work / "fp32.onnx", options.work / "slim.onnx"

    tokenizer = Tokenizer.from_file(str(weights.minilm(options.cache) / "tokenizer.json"))
    dev, train = dev_sets(options.data), train_sets(options.data)
    ids = {name: tokenise(tokenizer, rows.texts) for name, rows in dev.items()}
    model = load(options.work, options.cache)
    calibration = calibrate({name: raw_outputs(model, rows) for name, rows in ids.items()}, dev)
    export(Served(model, calibration), fp32)
    model.encoder.embeddings.word_embeddings = Int8Embedding(model.encoder.embeddings.word_embeddings.weight.data)
    export(Served(model, calibration), slim)

    feeds = calibration_feeds(
        [row for rows in train.values() for row in tokenise(tokenizer, rows.texts[:3000])], options.seed
    )
    if options.sensitivity:
        for name, error in quantize.sensitivity(slim, feeds[::4]).items():
            print(f"{error:.5f} {name}")
        return
    graph = options.out / "model.onnx"
    quantize.quantize(slim, graph, feeds, KEEP_FP32)
    thresholds = compare(fp32, graph, ids, dev)

    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(options.out / "tokenizer.json"), pretty=False)
    cards.write_card(options.out, card(emotion_labels(options.data), thresholds, train))
    cards.write_golden(options.out, padded(tokenise(tokenizer, GOLDEN)))
    print(f"{options.out} is written: measure it with scripts/measure_text.py")


if __name__ == "__main__":
    main()
