"""The card of somebody else's model: what its graph takes, what its answers mean, which of our tasks they fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from assistant.emotion import SENTIMENTS
from assistant.errors import Invalid, ModelInvalid
from assistant.evaluate.figures.tasks import AFFECTS, Task
from assistant.inference.card import Card

Output = Literal["logits", "probabilities", "independent", "affect"]

HELP = """\
third-party models (--model FOLDER): a folder with model.onnx and a card.toml with a table [foreign]. The graph
takes a waveform (voice), or token ids from the tokenizer.json in the folder (text). For example:

  name = "my-model"
  kind = "voice"                                 # or "text"
  licence = "CC BY 4.0"
  sha256 = "..."                                 # of model.onnx; if it is wrong, the error names the right one
  labels = ["ang", "hap", "neu", "sad"]          # in the order of the output

  [foreign]
  output = "logits"                              # softmax of them; or probabilities, independent (a sigmoid each),
                                                 # or affect (labels: valence, arousal, dominance in its order)
  label_map = {ang = "anger", hap = "joy", neu = "neutral", sad = "sadness"}

  [inputs]
  input_values = ["float32", "batch", "samples"]
  [outputs]
  logits = ["float32", "batch", 4]

More under [foreign], all optional. Voice: sample_rate (16000), samples (a fixed length; shorter clips are padded,
longer ones read in equal windows), max_samples (480000), min_samples, normalise = "unit" (zero mean and unit
variance for each window). Text: max_tokens (512). Affect: scale = [1, 5] (default [-1, 1]), deviation (one number
per label). files = {"model.onnx.data" = "sha256"} for weights in a separate file. Nothing is unpickled, downloaded
or installed.
"""
_RATES = (4_000, 192_000)
_WEIGHTS = (".data", ".onnx_data", ".bin", ".weights")
"""Endings of files that hold a graph's weights: they must be named with their hash."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """The table `[foreign]`, checked."""

    output: Output
    names: tuple[str, ...]
    """What each of the card's labels is called here, [labels]; several may be called the same."""
    sample_rate: int = 16_000
    """Hz."""
    samples: int | None = None
    """The one length the graph takes, in samples at `sample_rate`; None for any."""
    min_samples: int = 0
    max_samples: int = 480_000
    normalise: Literal["none", "unit"] = "none"
    max_tokens: int = 512
    scale: tuple[float, float] = (-1.0, 1.0)
    """Ends of the affect that the graph gives."""
    deviation: tuple[float, ...] = ()
    """Standard deviation of each affect, on the graph's own scale; empty where nothing is known of it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names without repetition, in their order."""
        return tuple(dict.fromkeys(self.names))


def is_foreign(card: Card) -> bool:
    """Whether the card describes somebody else's model."""
    return "foreign" in card.data


def read_foreign(card: Card) -> Foreign:
    """Read and check the table. Raises `ModelInvalid`, saying which key is wrong and what it may be."""
    table = card.data["foreign"]
    if not isinstance(table, Mapping):
        raise _make_error(card, "[foreign] must be a table")
    known = {*Foreign.__dataclass_fields__, "label_map", "files"} - {"names"}
    if unknown := sorted(set(table) - known):
        raise _make_error(card, f"[foreign] has no {', '.join(unknown)}; it may have {', '.join(sorted(known))}")
    if card.kind not in ("voice", "text"):
        raise _make_error(card, f'kind must be "voice" or "text", not {card.kind!r}')
    output = _read_choice(card, table, "output", get_args(Output))
    labels = _get_labels(card)
    if not labels or not all(isinstance(name, str) for name in labels):
        raise _make_error(card, "labels must name the numbers of the output, in order")
    if len(set(labels)) < len(labels):
        raise _make_error(card, "labels must differ from each other")
    found = Foreign(
        output=output,  # type: ignore[arg-type]
        names=_map_names(card, table.get("label_map", {})),
        sample_rate=_read_whole(card, table, "sample_rate", 16_000, *_RATES),
        samples=_read_whole(card, table, "samples", 0, 0, 1 << 26) or None,
        min_samples=_read_whole(card, table, "min_samples", 0, 0, 1 << 26),
        max_samples=_read_whole(card, table, "max_samples", 480_000, 1, 1 << 26),
        normalise=_read_choice(card, table, "normalise", ("none", "unit"), "none"),  # type: ignore[arg-type]
        max_tokens=_read_whole(card, table, "max_tokens", 512, 3, 1 << 16),
        scale=_read_scale(card, table.get("scale", (-1.0, 1.0))),
        deviation=_read_deviation(card, table.get("deviation", ())),
    )
    if output == "affect" and not set(found.names) <= set(AFFECTS):
        raise _make_error(card, f'with output = "affect" the labels must be among {", ".join(AFFECTS)}')
    if found.min_samples > found.max_samples:
        raise _make_error(card, "min_samples is more than max_samples")
    if len(card.outputs) < 1:
        raise _make_error(card, "[outputs] must name the output")
    return found


def adapt_card(card: Card) -> Card:
    """The card as the tasks understand it: with our names for its labels. A card of ours stays as it is.

    Raises `ModelInvalid` for a table that can't be used, and for weights beside the graph without their hash.
    """
    if not is_foreign(card):
        return card
    foreign = read_foreign(card)
    _check_files(card)
    labels = () if foreign.output == "affect" else foreign.labels
    data = {name: value for name, value in card.data.items() if name not in ("thresholds", "population")}
    if "thresholds" in card.data:
        thresholds = card.data["thresholds"]
        if not isinstance(thresholds, list) or len(thresholds) != len(labels):
            each = ", ".join(labels)
            raise _make_error(card, f"thresholds must be {len(labels)} numbers, one for each of {each}")
        data["thresholds"] = thresholds
    return replace(card, labels=labels, data=MappingProxyType(data))


def list_answerable(card: Card, task: Task, names: Sequence[str]) -> tuple[str, ...]:
    """Of the `names` that labels of a task may have, those that this model can say: all, for a model of ours.

    Raises `Invalid` (`task_unsupported`) where its output means something else.
    """
    if not is_foreign(card):
        return tuple(names)
    foreign = read_foreign(card)
    said = set(foreign.labels)
    kept = tuple(name for name in names if name in said or task != "affect")
    fits = {
        "labels": True,
        "emotion": not said <= set(SENTIMENTS),
        "sentiment": len(said & set(SENTIMENTS)) > 1,
        "stress": bool(said & {"stress", *(("anger", "fear") if card.kind == "voice" else ())}),
        "affect": bool(kept),
    }[task]
    if not fits or (task == "affect") != (foreign.output == "affect"):
        output = f"{foreign.output} of {', '.join(foreign.labels)}"
        raise Invalid(f"{card.name} cannot answer the task {task}: its output is {output}", code="task_unsupported")
    return kept


def list_foreign_notes(card: Card, task: Task) -> list[str]:
    """What a reader of the report must know about a model that isn't ours."""
    if not is_foreign(card):
        return []
    foreign = read_foreign(card)
    found = [f"a third-party model, as its card describes it: {foreign.output}, never abstains"]
    if card.kind == "voice" and (rate := foreign.sample_rate) > 16_000:
        found.append(f"clips are read at 16 kHz, then resampled to {rate} Hz: nothing is above 8 kHz")
    if task == "affect" and not foreign.deviation:
        found.append("the card states no deviations: coverage_90 says nothing here")
    return found


def _make_error(card: Card, what: str) -> ModelInvalid:
    return ModelInvalid(f"{card.folder / 'card.toml'}: {what}")


def _get_labels(card: Card) -> tuple[Any, ...]:
    """As the file has them, also of a card that was adapted."""
    return tuple(card.data.get("labels", ()))


def _map_names(card: Card, label_map: Any) -> tuple[str, ...]:
    if not isinstance(label_map, Mapping) or not all(isinstance(ours, str) and ours for ours in label_map.values()):
        raise _make_error(card, 'label_map must look like {hap = "joy"}')
    if unknown := sorted(set(label_map) - set(_get_labels(card))):
        raise _make_error(card, f"label_map names {', '.join(unknown)}, which is not among the labels")
    return tuple(label_map.get(name, name) for name in _get_labels(card))


def _read_choice(
    card: Card, table: Mapping[str, Any], key: str, values: Sequence[str], usual: str | None = None
) -> str:
    found = table.get(key, usual)
    if found not in values:
        raise _make_error(card, f"{key} must be one of {', '.join(values)}, not {found!r}")
    return str(found)


def _read_whole(card: Card, table: Mapping[str, Any], key: str, usual: int, least: int, most: int) -> int:
    found = table.get(key, usual)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise _make_error(card, f"{key} must be a whole number from {least} to {most}, not {found!r}")
    return found


def _read_scale(card: Card, found: Any) -> tuple[float, float]:
    if not (_are_numbers(found) and len(found) == 2 and found[0] < found[1]):
        raise _make_error(card, f"scale must be [low, high], not {found!r}")
    return float(found[0]), float(found[1])


def _read_deviation(card: Card, found: Any) -> tuple[float, ...]:
    count = len(_get_labels(card))
    if not (_are_numbers(found) and len(found) in (0, count) and all(value > 0 for value in found)):
        raise _make_error(card, f"deviation must be {count} positive numbers, one a label")
    return tuple(float(value) for value in found)


def _are_numbers(found: Any) -> bool:
    return isinstance(found, list | tuple) and all(
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 for value in found
    )


def _check_files(card: Card) -> None:
    """Weights beside the graph are part of the model: they must be what the card says as well."""
    named = card.data["foreign"].get("files", {})
    if not isinstance(named, Mapping):
        raise _make_error(card, 'files must look like {"model.onnx.data" = "sha256"}')
    for name, wanted in named.items():
        file = card.folder / name
        if Path(name).name != name:
            raise _make_error(card, f"files: {name!r} must lie beside the card")
        try:
            with file.open("rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise ModelInvalid(f"can't read {file}: {error.strerror}", code="model_missing") from error
        if found != wanted:
            raise ModelInvalid(f"{file} is not the file its card describes: sha256 {found}")
    if beside := sorted(f.name for f in card.folder.iterdir() if f.suffix in _WEIGHTS and f.name not in named):
        what = "lies beside the graph: list it with its sha256 under files, or move it"
        raise _make_error(card, f"{', '.join(beside)} {what}")
