"""Export the trained text model: calibrate it on the development splits, quantise it, write models/text.

Temperatures, deviations and thresholds are chosen on the development splits, so figures on those splits are
a little too good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, recall_score, roc_auc_score
from tokenizers import Tokenizer
from tqdm import tqdm

from assistant.inference.model import onnx_session
from scripts.cards import card as cards
from scripts.paths import ROOT
from scripts.text import graph as text_graph
from scripts.text import variants as text_variants
from scripts.text.data import (
    AFFECT,
    AFFECT_UNIT,
    AFFECTS,
    EMOTION,
    LOG_VARIANCE,
    MAX_TOKENS,
    SENTIMENT,
    SENTIMENTS,
    STRESS,
    Rows,
    dev_sets,
    emotion_labels,
    padded,
    tokenise,
    train_sets,
    windows,
)
from scripts.text.graph import OUTPUTS
from scripts.text.train import FULL, TextModel, arguments
from scripts.text.train import OUTPUTS as WIDTH
from scripts.weights import download as weights
from scripts.weights import quantize

FOLDER = ROOT / "models" / "text"
KEEP_FP32: tuple[str, ...] = ()
"""Products that int8 distorts most, by --sensitivity."""
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
    """What makes raw outputs [rows, WIDTH] honest: `raw * scale + shift`, per column."""

    scale: np.ndarray
    shift: np.ndarray


def calibrate(raw: dict[str, np.ndarray], dev: dict[str, Rows]) -> Calibration:
    """Fit per head: Platt scaling (emotions, stress), temperature (sentiment), variance (affect)."""
    scale, shift = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
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


def load(work: Path, cache: Path, name: str) -> TextModel:
    model = TextModel(weights.minilm(cache))
    model.load_state_dict(torch.load(work / f"{name}.pt", weights_only=True))
    return model.eval()


def export(model: TextModel, calibration: Calibration, path: Path, *, int8_words: bool) -> None:
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    config = model.encoder.config
    text_graph.write(
        path,
        state,
        calibration.scale,
        calibration.shift,
        heads=config.num_attention_heads,
        epsilon=config.layer_norm_eps,
        int8_words=int8_words,
    )


def raw_outputs(model: TextModel, ids: Sequence[list[int]]) -> np.ndarray:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    order = np.argsort([len(row) for row in ids], kind="stable")
    found = np.empty((len(ids), WIDTH), np.float32)
    with torch.inference_mode():
        for part in tqdm(list(windows(len(ids), 32)), desc="raw outputs", unit="batch", mininterval=5):
            feed = padded([ids[place] for place in order[part]])
            batch = {name: torch.from_numpy(value).to(device) for name, value in feed.items()}
            found[order[part]] = model(**batch).cpu().numpy()
    model.cpu()
    return found


def calibration_feeds(ids: Sequence[list[int]], seed: int) -> list[quantize.Feed]:
    """A few hundred training texts of all lengths, in batches of 16 of about the same length."""
    chosen = np.random.default_rng(seed).choice(len(ids), min(512, len(ids)), replace=False)
    rows = sorted((ids[place] for place in chosen), key=len)
    return [padded(rows[part]) for part in windows(len(rows), 16)]


def outputs(path: Path, ids: Sequence[list[int]], rows: int = 32) -> quantize.Feed:
    """The served graph's outputs for these texts, run in batches of similar length."""
    session = onnx_session(path)
    order = np.argsort([len(row) for row in ids], kind="stable")
    parts = [session.run(OUTPUTS, padded([ids[i] for i in order[part]])) for part in windows(len(ids), rows)]
    back = np.argsort(order)
    return {name: np.concatenate([part[at] for part in parts])[back] for at, name in enumerate(OUTPUTS)}


def best_thresholds(probabilities: np.ndarray, targets: np.ndarray, resamples: int = 100) -> list[float]:
    """For each class the median, over bootstrap resamples, of the threshold with the best F1.

    The best threshold of the one sample at hand follows its luck, most of all in rare classes.
    """
    generator = np.random.default_rng(0)
    picks = [generator.integers(len(targets), size=len(targets)) for _ in range(resamples)]
    return [
        round(float(np.median([best_threshold(p[pick], t[pick]) for pick in picks])), 4)
        for p, t in zip(probabilities.T, targets.T, strict=True)
    ]


def fair_weights(probabilities: np.ndarray, targets: np.ndarray) -> list[float]:
    """Weights of the sentiments before the likeliest is named, for the best unweighted recall.

    Probabilities divided by a power of their class's share, the power chosen; 0 leaves them as they are.
    """
    share = targets.mean(0)
    powers = np.linspace(0, 1, 21)
    truth = targets.argmax(1)
    recalls = [recall_score(truth, (probabilities / share**power).argmax(1), average="macro") for power in powers]
    # the middle of all powers that are nearly as good as the best
    power = float(np.median(powers[np.array(recalls) >= max(recalls) - 0.002]))
    weights = share**-power
    return [round(float(weight), 3) for weight in weights / weights.max()]


def best_threshold(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The middle between two scores where F1 is best when all from there upwards are taken.

    >>> round(best_threshold(np.array([.1, .2, .6, .7]), np.array([0, 0, 1, 1])), 3)
    0.4
    """
    order = np.argsort(-probabilities, kind="stable")
    scores, hits = probabilities[order], np.cumsum(targets[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + targets.sum())
    best = int(np.argmax(f1))
    return float((scores[best] + scores[min(best + 1, len(scores) - 1)]) / 2)


def scores(found: dict[str, quantize.Feed], dev: dict[str, Rows], thresholds: Sequence[float]) -> dict[str, float]:
    """A quick look; the figures on the card come from scripts/text/measure.py, through the served reader."""
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
        "sst2 accuracy": float(
            np.mean((phrases[:, 2] > phrases[:, 0]) == dev["sst2"].targets[:, SENTIMENT.stop - 1])
        ),
        **{f"pearson {name}": float(np.corrcoef(affect[:, i], said[:, i])[0, 1]) for i, name in enumerate(AFFECTS)},
        "affect within one deviation": float(np.mean(np.abs(z) < 1)),
        "stress f1": f1_score(dev["dreaddit"].targets[:, STRESS.start], stress >= 0.5),
        "stress auc": roc_auc_score(dev["dreaddit"].targets[:, STRESS.start], stress),
    }


def compare(
    fp32: Path, int8: Path, ids: dict[str, list[list[int]]], dev: dict[str, Rows]
) -> tuple[dict[str, quantize.Feed], dict[str, float]]:
    """What int8 gives for the development splits, and how it differs from fp32."""
    target = dev["goemotions"].targets[:, EMOTION]
    chosen: list[list[float]] = []
    labels: list[np.ndarray] = []
    f1: list[float] = []
    for path in (fp32, int8):
        found = {name: outputs(path, rows) for name, rows in ids.items()}
        chosen.append(best_thresholds(found["goemotions"]["emotions"], target))
        labels.append(found["goemotions"]["emotions"] >= np.array(chosen[0]))
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        measured = scores(found, dev, chosen[-1])
        f1.append(measured["goemotions macro_f1"])
        for name, value in measured.items():
            print(f"  {name} {value:.4f}")
    sample = ids["goemotions"][:256]
    alone, together = outputs(int8, sample, rows=1), outputs(int8, sample[::-1], rows=256)
    apart = max(float(np.abs(alone[name] - together[name][::-1]).max()) for name in OUTPUTS)
    found_out = {
        "goemotions_macro_f1_fp32": f1[0],
        "goemotions_macro_f1_int8": f1[1],
        "labels_that_flip": float(np.mean(labels[0] != labels[1])),
        "largest_change_in_company": apart,
    }
    print("\n".join(f"{name} {value:.5f}" for name, value in found_out.items()))
    return found, {name: round(value, 6) for name, value in found_out.items()}


def decisions(found: dict[str, quantize.Feed], dev: dict[str, Rows]) -> dict[str, object]:
    """When a label counts as said, as the card keeps it."""
    stress = found["dreaddit"]["stress"][:, None], dev["dreaddit"].targets[:, STRESS]
    return {
        "thresholds": best_thresholds(found["goemotions"]["emotions"], dev["goemotions"].targets[:, EMOTION]),
        "stress_threshold": best_thresholds(*stress)[0],
        "sentiment_weights": fair_weights(
            found["tweeteval_sentiment"]["sentiment"], dev["tweeteval_sentiment"].targets[:, SENTIMENT]
        ),
    }


def card(
    labels: list[str], decided: dict[str, object], train: dict[str, Rows], int8: dict[str, float]
) -> dict[str, object]:
    said = train["emobank"].targets[:, AFFECT].astype(float)
    return {
        "name": "text",
        "kind": "text",
        "version": "2",
        "sha256": "",
        "licence": (
            "The weights start from all-MiniLM-L6-v2 (Apache-2.0) and are offered under Apache-2.0; some "
            "training data is share-alike (EmoBank) or was released for research (tweets, SST-2, Dreaddit): "
            "check before commercial use."
        ),
        "summary": (
            "all-MiniLM-L6-v2 with heads for 28 emotions, sentiment, valence/arousal/dominance and stress; one "
            "pass, int8; trained on labels mixed with its own earlier readings. It estimates what an English text "
            "expresses. Temperatures, deviations and thresholds were chosen on the development splits, so figures "
            "on those are a little optimistic."
        ),
        "labels": labels,
        **decided,
        "sentiment_labels": SENTIMENTS,
        "languages": ["en"],
        "max_tokens": MAX_TOKENS,
        "golden_tolerance": 0.02,
        "population": {
            "affect_mean": said.mean(0).round(4).tolist(),
            "affect_deviation": said.std(0).round(4).tolist(),
            "note": "of EmoBank's training labels, mapped to [-1, 1]",
        },
        "int8": int8,
        "inputs": {},
        "outputs": {},
        "training_data": [
            *({"name": name, "rows": len(rows), **SOURCES[name]} for name, rows in train.items()),
            *MADE,
        ],
        "figures": [],
    }


def _part(name: str) -> str:
    share = FULL.share.get(name, 1)
    return "all of it in each epoch" if share == 1 else f"{share:.0%} of it in each epoch"


SOURCES = {
    "goemotions": {
        "licence": "Apache-2.0",
        "note": f"28 labels of Reddit comments, {_part('goemotions')}; Demszky et al. 2020",
    },
    "semeval2017_task4a": {
        "licence": "none stated; research use, Twitter terms apply",
        "note": f"negative, neutral, positive tweets, {_part('semeval2017_task4a')}; Rosenthal et al. 2017",
    },
    "sst2": {
        "licence": "none stated; research use",
        "note": f"film review phrases, negative or positive, {_part('sst2')}; Socher et al. 2013",
    },
    "emobank": {"licence": "CC BY-SA 4.0", "note": "valence, arousal, dominance; Buechel and Hahn 2017"},
    "dreaddit": {
        "licence": "none stated; released for research",
        "note": "stress in Reddit posts, 85 % of its training split by post; Turcan and McKeown 2019",
    },
    "semeval2018_ec": {
        "licence": "research use, not for profit; Twitter terms apply",
        "note": "eleven emotions of tweets, for a head that is not served; Mohammad et al. 2018",
    },
    "tweeteval_emotion": {
        "licence": "research use; Twitter terms apply",
        "note": "four emotions of tweets, for a head that is not served; Barbieri et al. 2020",
    },
}
MADE = [
    {
        "name": "sentences of a grammar",
        "rows": text_variants.GRAMMAR_ROWS,
        "licence": "Apache-2.0 (our own)",
        "note": "negation, change over time, opinions, questions with answers, facts: the kinds that CheckList's "
        "tests are of, but none of its sentences; scripts/text/variants.py",
    },
    {
        "name": "changed texts",
        "rows": text_variants.IDENTITY_ROWS + text_variants.SWAPPED_ROWS + text_variants.SLIPPED_ROWS,
        "licence": "that of the text that was changed",
        "note": "other genders, names and identities (with half of the HolisticBias descriptors, MIT), slips of "
        "the keyboard; scripts/text/variants.py",
    },
]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write")
    parser.add_argument("--weights", default="train", help="which weights in the work folder (NAME.pt)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the choice of texts for quantisation")
    parser.add_argument("--sensitivity", action="store_true", help="only rank the products by what int8 costs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    parts = (
        ("fp32", "slim") if options.weights == "train" else (f"{options.weights}.fp32", f"{options.weights}.slim")
    )
    fp32, slim = (options.work / f"{part}.onnx" for part in parts)

    tokenizer = Tokenizer.from_file(str(weights.minilm(options.cache) / "tokenizer.json"))
    dev, train = dev_sets(options.data), train_sets(options.data)
    ids = {name: tokenise(tokenizer, rows.texts) for name, rows in dev.items()}
    model = load(options.work, options.cache, options.weights)
    calibration = calibrate({name: raw_outputs(model, rows) for name, rows in ids.items()}, dev)
    export(model, calibration, fp32, int8_words=False)
    export(model, calibration, slim, int8_words=True)

    feeds = calibration_feeds(
        [row for rows in train.values() for row in tokenise(tokenizer, rows.texts[:3000])], options.seed
    )
    if options.sensitivity:
        for name, error in quantize.sensitivity(slim, feeds[::4]).items():
            print(f"{error:.5f} {name}")
        return
    graph = options.out / "model.onnx"
    quantize.quantize(slim, graph, feeds, KEEP_FP32)
    found, int8 = compare(fp32, graph, ids, dev)

    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(options.out / "tokenizer.json"), pretty=False)
    cards.write_card(options.out, card(emotion_labels(options.data), decisions(found, dev), train, int8))
    cards.write_golden(options.out, padded(tokenise(tokenizer, GOLDEN)))
    print(f"{options.out} is written: measure it with scripts/text/measure.py")


if __name__ == "__main__":
    main()
