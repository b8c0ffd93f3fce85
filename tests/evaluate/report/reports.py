"""Reports made for tests: one with everything in it, and awkward ones."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from assistant.evaluate.report import report as forms

SHA = "0123456789abcdef" * 4
NAMES = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
HOSTILE = '</title><script>alert(1)</script><img src=x onerror="alert(2)"> \u202e`|*_\x00'


def figure(value: float | None, width: float = 0.03) -> dict[str, float | None]:
    """A figure with an interval that is not quite even."""
    if value is None:
        return {"value": None, "low": None, "high": None}
    return {"value": value, "low": round(value - width, 6), "high": round(value + 0.8 * width, 6)}


def full_report() -> dict[str, Any]:
    """What a run over 1,440 clips with every option on could come to."""
    counts = [[150 if at == to else (3 * at + 5 * to) % 17 for to in range(7)] for at in range(7)]
    n = [0, 0, 3, 12, 30, 48, 71, 90, 102, 118, 140, 171, 205, 228, 260]
    sure = [None if not rows else round((at + 0.5) / 15, 4) for at, rows in enumerate(n)]
    hits = [None if s is None else round(min(1.0, s**1.25 + 0.02), 4) for s in sure]
    coverage = [round(at / 50, 2) for at in range(1, 51)]
    metrics = {
        "uar": figure(0.7136),
        "accuracy": figure(0.7312),
        "macro_f1": figure(0.7051),
        "weighted_f1": figure(0.7288),
        "macro_auc": figure(0.9312, 0.01),
        "ece": figure(0.0641, 0.015),
        "brier": figure(0.3911, 0.04),
        "nll": figure(0.8214, 0.09),
        "aurc": figure(0.1204, 0.02),
        "selective_uar_80": figure(0.7892),
        "coverage": figure(0.9896, 0.004),
    }
    return {
        "schema": "attune-evaluation/1",
        "provenance": {
            "command": ["assistant", "evaluate", "voice", "--data", "clips of mine.csv", "--conditions", "all"],
            "attune": "0.1.0",
            "versions": {"numpy": "2.3.0", "onnxruntime": "1.22.0", "soundfile": "0.13.1"},
            "python": "3.11.7",
            "platform": "Linux-6.1-x86_64",
            "machine": {"cpu": "A processor at 2.70GHz", "cores": 2},
            "seed": 0,
            "data": {"name": "clips of mine.csv", "sha256": SHA},
            "label_map": {"name": "map.json", "sha256": SHA},
            "when": "2026-11-22T16:30:00+00:00",
        },
        "task": "emotion",
        "n": 1440,
        "clusters": 24,
        "abstained": {"not_speech": 9, "too_noisy": 6},
        "metrics": metrics,
        "per_class": {
            name: {
                "precision": 0.68 + at / 40,
                "recall": 0.55 + at / 16,
                "f1": 0.61 + at / 24,
                "auc": 0.9 + at / 100,
                "support": sum(counts[at]),
            }
            for at, name in enumerate(NAMES)
        },
        "label_counts": {name: sum(counts[at]) for at, name in enumerate(NAMES)},
        "confusion": {
            name: dict(zip(NAMES, counts[at], strict=True)) | {"abstained": at} for at, name in enumerate(NAMES)
        },
        "curves": {
            "reliability": {
                "edges": [round(at / 15, 6) for at in range(16)],
                "n": n,
                "confidence": sure,
                "hits": hits,
            },
            "risk_coverage": {
                "coverage": coverage,
                "risk": [round(0.02 + 0.25 * c**1.7, 4) for c in coverage],
                "aurc": figure(0.1204, 0.02),
            },
        },
        "groups": {
            "female": {"column": "gender", "n": 720, "metrics": {"uar": figure(0.744)}},
            "male": {"column": "gender", "n": 712, "metrics": {"uar": figure(0.683)}},
            "other": {"column": "gender", "n": 8, "metrics": {}, "note": "insufficient evidence"},
        },
        "gaps": [
            {
                "column": "gender",
                "metric": "uar",
                "best": "female",
                "worst": "male",
                "gap": figure(0.061, 0.04),
                "p": 0.021,
                "verdict": "gap",
            },
            {
                "column": "group",
                "metric": "uar",
                "best": None,
                "worst": None,
                "gap": None,
                "p": None,
                "verdict": "insufficient evidence",
            },
        ],
        "leakage": {
            "against": "training.csv",
            "speakers": {"shared": 2, "first": ["actor 3", "actor 7"]},
            "audio": {"shared": 0, "first": []},
            "verdict": "leakage found, unless speakers are named alike by chance: 2 speakers have the same name",
        },
        "conditions": [
            {
                "name": f"noise_{level}dB",
                "kind": "noise",
                "level": float(level),
                "n": 1440,
                "abstained": {"too_noisy": 20 - level},
                "metrics": {"uar": figure(0.7136 - (20 - level) ** 1.5 / 250)},
                "loss": {"uar": figure((20 - level) ** 1.5 / 250, 0.01)},
            }
            for level in (20, 10, 0)
        ]
        + [
            {
                "name": "telephone",
                "kind": "telephone",
                "level": None,
                "n": 1438,
                "abstained": {},
                "metrics": {"uar": figure(0.66)},
                "loss": {"uar": figure(0.0536, 0.02)},
            }
        ],
        "folds": {
            "protocol": "speakers",
            "k": 5,
            "of": [
                {
                    "held_out": f"fold {at + 1}",
                    "n": 288,
                    "metrics": {"uar": figure(0.66 + at / 50)},
                    "floor": {"uar": figure(0.4)},
                }
                for at in range(5)
            ],
            "mean": {"uar": figure(0.7)},
            "mean_floor": {"uar": figure(0.4)},
        },
        "compared": {"baseline_none": {"uar": figure(0.668)}, "baseline_online": {"uar": figure(0.7136)}},
        "cost": {
            "rows_per_s": 46.2,
            "latency_ms": {"p50": 21.4, "p90": 28.9, "p99": 61.0},
            "audio_s": 5301.2,
            "real_time_factor": 0.0059,
            "peak_rss_mb": 512.0,
            "model_mb": 29.7,
        },
        "model": {
            "name": "voice",
            "sha256": SHA,
            "kind": "voice",
            "licence": "Not for commercial use without asking",
            "summary": "Emotion, valence, arousal and stress from speech.",
            "labels": list(NAMES),
            "training_data": [{"name": "emodb", "licence": "free of charge, cite"}],
            "stem": {"name": "stem", "sha256": SHA},
        },
        "options": {"modality": "voice", "data": "clips of mine.csv", "baseline": "online", "bootstrap": 1000},
        "bad_rows": {
            "count": 3,
            "first": [
                {"line": 17, "reason": "there is no file audio/a17.flac"},
                {"line": 204, "reason": "unknown label 'puzzled'; name it in --label-map, or null to leave it out"},
                {"line": 1020, "reason": "the recording is empty"},
            ],
        },
        "left_out": 12,
        "notes": [f"closed set: argmax over the 7 classes present ({', '.join(NAMES)})"],
        "seconds": 31.204,
    }


def labels_report() -> dict[str, Any]:
    """Twenty-eight labels in text, and forty groups with long names."""
    report = full_report()
    names = [f"label {at:02} with a rather long name" for at in range(28)]
    lost = ("confusion", "conditions", "folds", "leakage", "cost", "compared")
    kept = {key: value for key, value in report.items() if key not in lost}
    return kept | {
        "task": "labels",
        "metrics": {"macro_f1": figure(0.482), "micro_f1": figure(0.571), "ece": figure(0.031, 0.01)},
        "per_class": {
            name: {"precision": 0.5, "recall": at / 28, "f1": None if at == 3 else at / 28, "support": 11 * at}
            for at, name in enumerate(names)
        },
        "groups": {
            f"group-number-{at}-of-a-very-long-and-unbroken-name-{'x' * at}": {
                "column": "group",
                "n": 36,
                "metrics": {"macro_f1": figure(math.sin(at) / 4 + 0.5)},
            }
            for at in range(40)
        },
        "options": {"modality": "text", "data": "posts.csv"},
    }


def many_classes_report() -> dict[str, Any]:
    """Twenty-eight classes that exclude each other."""
    names = [f"{'very ' * (at % 3)}emotion {at}" for at in range(28)]
    counts = {a: {b: (20 if a == b else (i * j) % 4) for j, b in enumerate(names)} for i, a in enumerate(names)}
    return full_report() | {"confusion": {a: row | {"abstained": 1} for a, row in counts.items()}}


def bare_report() -> dict[str, Any]:
    """One class, one speaker, no interval, nothing optional."""
    report = full_report()
    wanted = ("schema", "provenance", "task", "model", "options", "seconds", "left_out")
    return {key: report[key] for key in wanted} | {
        "n": 3,
        "clusters": 1,
        "abstained": {},
        "metrics": {"uar": figure(None), "coverage": {"value": 1.0, "low": None, "high": None}},
        "per_class": {"joy": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 3}},
        "confusion": {"joy": {"joy": 3, "abstained": 0}},
        "groups": {},
        "bad_rows": {"count": 0, "first": []},
        "notes": ["only one class is present: nothing to tell apart, so the figures are undefined"],
        "curves": {
            "reliability": {
                "edges": [0.0, 0.5, 1.0],
                "n": [0, 0],
                "confidence": [None, None],
                "hits": [None, None],
            },
            "risk_coverage": {"coverage": [], "risk": [], "aurc": figure(None)},
        },
    }


def hostile_report() -> dict[str, Any]:
    """Every string that a user or a model's author can choose is an attack."""

    def poisoned(value: Any, key: str = "") -> Any:
        if key in ("schema", "task", "sha256", "when", "column", "verdict", "kind", "metric", "metrics"):
            return value
        if isinstance(value, dict):
            fixed = key in ("", "curves", "provenance")
            return {
                (name if fixed or name in _OURS else f"{name} {HOSTILE}"): poisoned(inner, name)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [poisoned(inner, "item") for inner in value]
        return f"{value} {HOSTILE}" if isinstance(value, str) else value

    found: dict[str, Any] = poisoned(full_report())
    return found


_OURS = frozenset(
    member.encode_name
    for form in vars(forms).values()
    if isinstance(form, type) and issubclass(form, msgspec.Struct)
    for member in msgspec.structs.fields(form)
) | {"uar", "p50", "p90", "p99"}
"""Names that no user chooses."""
