"""Measure models/text on the development splits with `assistant evaluate text`; write the figures on its card.

Beside each figure stands its floor: bag of words with logistic (affect: ridge) regression on the same rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.metrics import f1_score, recall_score, roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from assistant import bootstrap
from assistant.evaluate.figures import metrics
from assistant.inference.model import open_model
from assistant.text.reader import TextTokenizer, pad_row
from scripts.cards import card as cards
from scripts.paths import ROOT
from scripts.text.data import (
    AFFECT,
    AFFECTS,
    EMOTION,
    MOODS_OF_TWEETS,
    SENTIMENT,
    SENTIMENTS,
    STRESS,
    TWEET_MOOD,
    Rows,
    dev_sets,
    dreaddit_table,
    emotion_labels,
    table,
    train_sets,
)
from scripts.text.export import FOLDER, best_thresholds
from scripts.text.train import arguments

PROBE = "tweeteval_emotion val, a linear head on the frozen encoder"


@dataclass(frozen=True)
class Test:
    """A development split, the task it is evaluated as, its name on the card, and the measures to keep."""

    name: str
    task: str
    data: str
    measures: tuple[str, ...]


TESTS = [
    Test("goemotions", "labels", "goemotions dev", ("macro_f1", "micro_f1", "ece")),
    Test("tweeteval_sentiment", "sentiment", "tweeteval_sentiment val", ("macro_recall", "ece")),
    Test("sst2", "sentiment", "sst2 dev", ("accuracy", "ece")),
    Test("emobank", "affect", "emobank dev", tuple(f"pearson_{name}" for name in AFFECTS)),
    Test("dreaddit", "stress", "dreaddit, held-out 15 % of the training posts", ("f1", "auc", "ece")),
]


def manifest(name: str, data: Path) -> pd.DataFrame:
    """The split as `assistant evaluate text` reads it: raw texts and label columns."""
    if name == "goemotions":
        frame = table(data, "goemotions/dev.tsv.gz")
        return pd.DataFrame({"text": frame.text, "labels": frame.labels.str.replace(",", "|")})
    if name == "tweeteval_sentiment":
        frame = table(data, "tweeteval_sentiment/val.tsv.gz")
        return pd.DataFrame({"text": frame.text, "sentiment": frame.label})
    if name == "sst2":
        frame = table(data, "sst2/dev.tsv")
        return pd.DataFrame({"text": frame.text, "sentiment": np.where(frame.label == 1, "positive", "negative")})
    if name == "emobank":
        frame = table(data, "emobank/dev.tsv")
        return pd.DataFrame({"text": frame.text, "valence": frame.V, "arousal": frame.A, "dominance": frame.D})
    frame = dreaddit_table(data, held_out=True)
    return pd.DataFrame({"text": frame.text, "stress": frame.label})


def evaluate(test: Test, file: Path, model: Path, out: Path) -> dict[str, Any]:
    """Run the served reader over a manifest and return its report."""
    command = [
        sys.executable,
        "-m",
        "assistant",
        "evaluate",
        "text",
        "--data",
        str(file),
        "--task",
        test.task,
    ]
    subprocess.run([*command, "--model", str(model), "--out", str(out)], check=True, cwd=ROOT)
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def floors(train: dict[str, Rows], dev: dict[str, Rows]) -> dict[str, dict[str, float]]:
    """What bag of words reaches, per split and measure."""
    return {
        "goemotions": emotion_floor(train["goemotions"], dev["goemotions"]),
        "tweeteval_sentiment": tweet_floor(train["semeval2017_task4a"], dev["tweeteval_sentiment"]),
        "sst2": phrase_floor(train["sst2"], dev["sst2"]),
        "emobank": affect_floor(train["emobank"], dev["emobank"]),
        "dreaddit": stress_floor(train["dreaddit"], dev["dreaddit"]),
        PROBE: {"macro_f1": mood_floor(train["tweeteval_emotion"], dev["tweeteval_emotion"])},
    }


def bag(model: BaseEstimator) -> BaseEstimator:
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), model)


def emotion_floor(train: Rows, dev: Rows) -> dict[str, float]:
    """With thresholds chosen on the development split, as for the model."""
    model = bag(OneVsRestClassifier(LogisticRegression(C=4, solver="liblinear")))
    target = dev.targets[:, EMOTION]
    found = model.fit(train.texts, train.targets[:, EMOTION].astype(int)).predict_proba(dev.texts)
    labels = found >= np.array(best_thresholds(found, target))
    return {f"{kind}_f1": float(f1_score(target, labels, average=kind)) for kind in ("macro", "micro")}


def tweet_floor(train: Rows, dev: Rows) -> dict[str, float]:
    model = bag(LogisticRegression(C=4, max_iter=1000, class_weight="balanced"))
    found = model.fit(train.texts, train.targets[:, SENTIMENT].argmax(1)).predict(dev.texts)
    return {"macro_recall": float(recall_score(dev.targets[:, SENTIMENT].argmax(1), found, average="macro"))}


def phrase_floor(train: Rows, dev: Rows) -> dict[str, float]:
    positive = SENTIMENT.start + SENTIMENTS.index("positive")
    model = bag(LogisticRegression(C=4, solver="liblinear"))
    found = model.fit(train.texts, train.targets[:, positive]).predict(dev.texts)
    return {"accuracy": float(np.mean(found == dev.targets[:, positive]))}


def affect_floor(train: Rows, dev: Rows) -> dict[str, float]:
    found = bag(Ridge(1.0)).fit(train.texts, train.targets[:, AFFECT]).predict(dev.texts)
    said = dev.targets[:, AFFECT]
    return {f"pearson_{name}": float(np.corrcoef(found[:, i], said[:, i])[0, 1]) for i, name in enumerate(AFFECTS)}


def stress_floor(train: Rows, dev: Rows) -> dict[str, float]:
    model = bag(LogisticRegression(C=4, solver="liblinear")).fit(train.texts, train.targets[:, STRESS.start])
    found, target = model.predict_proba(dev.texts)[:, 1], dev.targets[:, STRESS.start]
    return {"f1": float(f1_score(target, found >= 0.5)), "auc": float(roc_auc_score(target, found))}


def mood_floor(train: Rows, dev: Rows) -> float:
    model = bag(LogisticRegression(C=4, max_iter=1000, class_weight="balanced"))
    found = model.fit(train.texts, train.targets[:, TWEET_MOOD].argmax(1)).predict(dev.texts)
    return float(f1_score(dev.targets[:, TWEET_MOOD].argmax(1), found, average="macro"))


def probe(model: Path, train: Rows, dev: Rows) -> dict[str, Any]:
    """Macro-F1 of a logistic regression on the encoder's vectors; its penalty is chosen on the training split."""
    head = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(Cs=np.logspace(-4, 0, 9), scoring="f1_macro", max_iter=3000, class_weight="balanced"),
    )
    head.fit(embeddings(model, train.texts), train.targets[:, TWEET_MOOD].argmax(1))
    found = head.predict(embeddings(model, dev.texts))
    classes = np.arange(len(MOODS_OF_TWEETS))
    counts = metrics.count_hits(dev.targets[:, TWEET_MOOD] == 1, found[:, None] == classes)
    rows = np.arange(len(dev))
    figure = bootstrap.compute_figures({"f": metrics.sum_by_cluster(counts, rows, metrics.macro_f1)}, len(dev))["f"]
    return {"value": figure.value, "low": figure.low, "high": figure.high}


def embeddings(model: Path, texts: Sequence[str]) -> np.ndarray:
    """The encoder's vector of each text's first window, [texts, width]."""
    opened = open_model(model)
    tokens = TextTokenizer(model, max_tokens=int(opened.card.data["max_tokens"]))
    found = []
    for text in tqdm(texts, desc="vectors", unit="text", mininterval=5):
        row = pad_row(tokens.windows(text)[0])
        found.append(opened.run({name: value[None] for name, value in row.items()})["embedding"][0])
    return np.array(found)


def comparison(ours: Path, plain: Path) -> list[dict[str, object]]:
    """How much better than plain fine-tuning on GoEmotions dev, by a paired bootstrap over the comments.

    Macro-F1 once with the thresholds as shipped, once with thresholds that never saw the half of the split they
    cut; and the mean area under the ROC curve, which needs none.
    """
    tables = [pd.read_csv(folder / "predictions.csv", keep_default_na=False) for folder in (ours, plain)]
    names = [name.removeprefix("p_") for name in tables[0].columns if name.startswith("p_")]
    truth = _indicators(tables[0].label, names)
    scores = [frame[[f"p_{name}" for name in names]].to_numpy(float) for frame in tables]
    shipped = [_macro_f1(truth, _indicators(frame.prediction, names)) for frame in tables]
    crossed = [_macro_f1(truth, _crossed(score, truth)) for score in scores]
    return [
        _paired("macro_f1, thresholds as shipped", shipped, len(truth)),
        _paired("macro_f1, thresholds chosen on the other half", crossed, len(truth)),
        _paired("mean AUC", [partial(_mean_auc, score, truth) for score in scores], len(truth)),
    ]


def _paired(measure: str, statistics: Sequence[bootstrap.Statistic], rows: int) -> dict[str, object]:
    ours, plain = statistics
    figures = bootstrap.compute_figures(
        {"difference": lambda weights: ours(weights) - plain(weights), "ours": ours, "plain": plain}, rows
    )
    return {
        "name": "against plain fine-tuning of the same encoder on GoEmotions",
        "data": "goemotions dev",
        "measure": f"difference of {measure}",
        **_interval(asdict(figures["difference"])),
        "ours": round(figures["ours"].value, 4),
        "plain": round(figures["plain"].value, 4),
        "n": rows,
        "command": "python -m scripts.text.measure --plain",
    }


def _macro_f1(truth: np.ndarray, labels: np.ndarray) -> bootstrap.Statistic:
    return metrics.sum_by_cluster(metrics.count_hits(truth, labels), np.arange(len(truth)), metrics.macro_f1_all)


def _mean_auc(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[replicates, rows] -> [replicates]."""
    return np.mean([metrics.auc(p, t, weights) for p, t in zip(scores.T, truth.T, strict=True)], 0)


def _indicators(sets: pd.Series, names: Sequence[str]) -> np.ndarray:
    return np.array([[name in labels.split("|") for name in names] for labels in sets])


def _crossed(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    half = np.random.default_rng(0).permutation(len(truth)) % 2 == 0
    found = np.empty_like(truth)
    for part in (half, ~half):
        found[part] = scores[part] >= np.array(best_thresholds(scores[~part], truth[~part]))
    return found


def figures(test: Test, report: dict[str, Any], floor: dict[str, float]) -> list[dict[str, object]]:
    """The report's measures as the card keeps them, with coverage."""
    kept = [name for name in test.measures if name in report["metrics"]]
    return [
        {
            "measure": name,
            "data": test.data,
            **_interval(report["metrics"][name]),
            "n": report["n"],
            "abstained": sum(report["abstained"].values()),
            **({"floor": round(floor[name], 4)} if name in floor else {}),
            "command": "python -m scripts.text.measure",
        }
        for name in kept
    ]


def _interval(metric: dict[str, float] | float) -> dict[str, float]:
    values = metric if isinstance(metric, dict) else {"value": metric}
    return {key: round(values[key], 4) for key in ("value", "low", "high") if values.get(key) is not None}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, default=FOLDER, help="folder of the model to measure")
    parser.add_argument("--plain", type=Path, help="folder of a model to compare it with, on GoEmotions")
    options = parser.parse_args()
    model, work = options.model.resolve(), options.work.resolve() / "measure"
    work.mkdir(parents=True, exist_ok=True)
    labels = cards.read_card(model)["labels"]
    if labels != emotion_labels(options.data):
        parser.error("the card's labels are not those of the data")
    train, dev = train_sets(options.data), dev_sets(options.data)
    floor_file = work / "floors.json"
    if not floor_file.exists():
        print("fitting bags of words (minutes)")
        floor_file.write_text(json.dumps(floors(train, dev), indent=1))
    floor = json.loads(floor_file.read_text())
    found: list[dict[str, object]] = []
    for test in TESTS:
        file = work / f"{test.name}.csv"
        manifest(test.name, options.data).to_csv(file, index=False)
        found += figures(test, evaluate(test, file, model, work / test.name), floor[test.name])
    if "embedding" in cards.read_card(model)["outputs"]:
        probed = probe(model, train["tweeteval_emotion"], dev["tweeteval_emotion"])
        found.append(
            {
                "measure": "macro_f1",
                "data": PROBE,
                **_interval(probed),
                "n": len(dev["tweeteval_emotion"]),
                "abstained": 0,
                "floor": round(floor[PROBE]["macro_f1"], 4),
                "command": "python -m scripts.text.measure",
            }
        )
    card = {**cards.read_card(model), "figures": found}
    if options.plain:
        goemotions = next(test for test in TESTS if test.name == "goemotions")
        evaluate(goemotions, work / "goemotions.csv", options.plain.resolve(), work / "plain")
        card["comparison"] = comparison(work / "goemotions", work / "plain")
    cards.write_card(model, card)
    for figure in found + card.get("comparison", []):
        print(*(f"{key}={value}" for key, value in figure.items() if key != "command"))


if __name__ == "__main__":
    main()
