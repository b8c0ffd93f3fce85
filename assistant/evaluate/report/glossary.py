"""Names, meanings and ranges of the figures of a report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a report, for readers."""

    name: str
    """As a table shows it."""
    meaning: str
    """Follows the name in a sentence."""
    ends: tuple[float, float] | None = (0.0, 1.0)
    """Smallest and largest value; None if it has no upper end."""
    better: Literal["higher", "lower", ""] = "higher"


_AFFECT = ("valence", "arousal", "dominance")
_KNOWN: Mapping[str, Metric] = {
    "uar": Metric("UAR", "unweighted average recall: the mean of the classes' recalls"),
    "macro_recall": Metric("Macro recall", "the mean of the classes' recalls"),
    "accuracy": Metric("Accuracy (WA)", "the share of rows that were right"),
    "macro_f1": Metric("Macro F1", "the mean of the classes' F1"),
    "micro_f1": Metric("Micro F1", "F1 over all decisions pooled"),
    "weighted_f1": Metric("Weighted F1", "the mean of the classes' F1, weighted by how often they occur"),
    "f1": Metric("F1", "harmonic mean of precision and recall of the positive class"),
    "precision": Metric("Precision", "the share of predictions that were right"),
    "recall": Metric("Recall", "the share of true cases that were found"),
    "auc": Metric("AUC", "the probability that a positive ranks above a negative"),
    "macro_auc": Metric("Macro AUC", "the mean of the classes' AUC, one against the rest"),
    "ece": Metric("ECE", "expected calibration error: the mean gap of confidence and accuracy", better="lower"),
    "brier": Metric("Brier", "squared error of the probabilities, summed over classes", (0.0, 2.0), "lower"),
    "nll": Metric("NLL", "negative log likelihood of the true class", None, "lower"),
    "aurc": Metric("AURC", "area under the risk-coverage curve", better="lower"),
    "coverage": Metric("Coverage", "the share of rows that were answered"),
    "selective_uar": Metric("Selective UAR", "UAR over the 80 % of the rows with the highest confidence"),
    "coverage_90": Metric("Held by 90 %", "the share of labels inside the 90 % interval", better=""),
    "pearson": Metric("Pearson", "correlation", (-1.0, 1.0)),
    "ccc": Metric("CCC", "concordance correlation", (-1.0, 1.0)),
    "mae": Metric("MAE", "mean absolute error", None, "lower"),
    "logged": Metric("Logged", "the mean reward in the log", None),
    "ips": Metric("IPS", "inverse propensity scoring: the mean of reward times weight", None),
    "snips": Metric("SNIPS", "IPS, normalised by the weights", None),
    "dr": Metric("DR", "doubly robust: a model of the reward, corrected by the log", None),
    "gain": Metric("Gain", "what the other policy earns more than the log", None),
    "mean_weight": Metric("Mean weight", "1 if propensities and targets are right", None, ""),
    "rmse": Metric("RMSE", "root mean squared error", None, "lower"),
}
_HEADLINE: Mapping[str, tuple[str, ...]] = {
    "labels": ("macro_f1",),
    "emotion": ("uar",),
    "sentiment": ("macro_recall",),
    "stress": ("f1", "auc"),
    "affect": tuple(f"ccc_{name}" for name in _AFFECT),
    "mood": ("uar",),
    "situnes": ("auc_with_situation", "auc_without_situation", "gain_of_mood"),
    "logs": ("ips", "snips", "dr", "logged"),
}


def get_metric(key: str) -> Metric:
    """The metric of a key of the report; an unknown key gives a name made from its words.

    >>> get_metric("uar").name, get_metric("ccc_valence").name, get_metric("gain_of_mood").name
    ('UAR', 'CCC, valence', 'Gain of mood')
    """
    if key in _KNOWN:
        return _KNOWN[key]
    stem, _, last = key.rpartition("_")
    if last in _AFFECT and stem in _KNOWN:
        of = _KNOWN[stem]
        return Metric(f"{of.name}, {last}", of.meaning, of.ends, of.better)
    if key.startswith("selective_"):
        return Metric(
            "Selective " + get_metric(stem.removeprefix("selective_") or last).name, f"at {last} % coverage"
        )
    words = key.replace("_", " ")
    if key.startswith("gain_"):
        return Metric(words.capitalize(), "a difference", (-1.0, 1.0))
    if key.startswith("auc_"):
        return Metric("AUC " + words.removeprefix("auc "), "the probability that a liked item ranks higher")
    return Metric(words[:1].upper() + words[1:], "", None, "")


def choose_headline(task: str, metrics: Collection[str]) -> tuple[str, ...]:
    """The keys of the figures that a report leads with: those of its task, else its first.

    >>> choose_headline("emotion", ["accuracy", "uar"])
    ('uar',)
    """
    wanted = tuple(key for key in _HEADLINE.get(task, ()) if key in metrics)
    return wanted or tuple(metrics)[:1]
