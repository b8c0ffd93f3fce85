"""What `report.json` holds, typed: the one form that schema, page, model card and tables are made from.

What a run always writes has a default here, so that a report of an earlier version can still be read; what only
some runs write is `UNSET` and left out of the file. Undefined numbers are null.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from assistant.evaluate.leakage.check import Leakage
from assistant.evaluate.leakage.check import Overlap as Overlap

SCHEMA = "attune-evaluation/1"
"""The form of `report.json`, as its member `schema` says."""

Count = Annotated[int, Meta(ge=0)]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Sha256 = Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")]


class Measured(Struct, frozen=True):
    """A value with its 95 % interval; null where undefined."""

    value: float | None
    low: float | None
    high: float | None


Figures = dict[str, Measured]
Number = float | Measured | None
"""A figure that may have been measured without an interval."""


class File(Struct, frozen=True):
    """A file that was read."""

    name: str
    sha256: Sha256


class Machine(Struct, frozen=True):
    """What the run was on."""

    cpu: str
    cores: Annotated[int, Meta(ge=1)]


class Provenance(Struct, frozen=True, kw_only=True):
    """Where a report comes from. Nothing of it names a person."""

    command: Annotated[list[str], Meta(description="The command line, one word per element")] = []
    attune: str = ""
    versions: Annotated[dict[str, str], Meta(description="Of the packages that the figures depend on")] = {}
    python: str = ""
    platform: str = ""
    machine: Machine = Machine("", 1)
    seed: Annotated[int, Meta(description="Of the bootstrap, permutations, folds and disturbances")] = 0
    data: File = File("", "")
    label_map: File | UnsetType = UNSET
    when: Annotated[Moment, Meta(description="When the report was written; differs from run to run")] = ""


class Corpus(Struct, frozen=True, kw_only=True):
    """Training data of a model."""

    name: str | UnsetType = UNSET
    licence: str | UnsetType = UNSET
    note: str | UnsetType = UNSET


class ModelIdentity(Struct, frozen=True, kw_only=True):
    """A model, by its hash and by what its card says."""

    name: str
    sha256: Annotated[
        Sha256 | dict[str, Sha256], Meta(description="Of the graph; of several models, name to hash")
    ] = ""
    kind: str | UnsetType = UNSET
    licence: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    summary: str | UnsetType = UNSET
    labels: list[str] | UnsetType = UNSET
    training_data: list[Corpus] | UnsetType = UNSET
    stem: ModelIdentity | UnsetType = UNSET
    beside: Annotated[
        ModelIdentity | UnsetType,
        Meta(description="The shipped model that decided what can be read, for a fitted head"),
    ] = UNSET


class ClassFigures(Struct, frozen=True, kw_only=True):
    """Figures of one class or label."""

    precision: Number | UnsetType = UNSET
    recall: Number | UnsetType = UNSET
    f1: Number | UnsetType = UNSET
    support: Annotated[Count | UnsetType, Meta(description="Rows of this class")] = UNSET
    auc: Number | UnsetType = UNSET


class Group(Struct, frozen=True, kw_only=True):
    """The rows that have one value in a column."""

    column: str | UnsetType = UNSET
    n: Count
    metrics: Figures
    note: str | UnsetType = UNSET


class GapTest(Struct, frozen=True, kw_only=True):
    """One comparison behind a gap."""

    groups: list[str]
    against: Literal["each other", "the rest"]
    p: float | None


class Gap(Struct, frozen=True, kw_only=True):
    """How far the best group of a column is from the worst, in one figure."""

    column: str
    left_out: Annotated[list[str] | UnsetType, Meta(description="Groups that are too small")] = UNSET
    metric: str
    best: str | None = None
    worst: str | None = None
    gap: Measured | None = None
    p: float | None = None
    verdict: Literal["gap", "no gap shown", "insufficient evidence"]
    values: Annotated[dict[str, float | None] | UnsetType, Meta(description="Group to figure")] = UNSET
    tests: list[GapTest] | UnsetType = UNSET


class Reliability(Struct, frozen=True, kw_only=True):
    """By equal bins of confidence: how many predictions, how sure they were, and how many were right."""

    edges: Annotated[list[float], Meta(description="One more than there are bins")]
    n: list[Count]
    confidence: Annotated[list[float | None], Meta(description="Mean of a bin; null where it is empty")]
    hits: Annotated[list[float | None], Meta(description="Share that was right; null where the bin is empty")]


class RiskCoverage(Struct, frozen=True, kw_only=True):
    """How often the model is wrong, by the share of rows it answers, the most confident first."""

    coverage: Annotated[list[float | None], Meta(max_length=101)]
    risk: Annotated[list[float | None], Meta(max_length=101)]
    aurc: Measured | UnsetType | None = UNSET


class Curves(Struct, frozen=True, kw_only=True):
    """The curves behind ECE and AURC."""

    reliability: Reliability | UnsetType = UNSET
    risk_coverage: RiskCoverage | UnsetType = UNSET


class ConditionResult(Struct, frozen=True, kw_only=True):
    """The same clips under one disturbance."""

    name: str
    kind: str
    level: float | None = None
    n: Count
    abstained: Annotated[Count | dict[str, Count], Meta(description="Rows, or reason to rows")] = 0
    metrics: Figures
    loss: Annotated[
        Figures | UnsetType, Meta(description="Clean figure minus this one, on the same rows, paired by cluster")
    ] = UNSET


class Fold(Struct, frozen=True, kw_only=True):
    """One fold: its rows were read by a head that was not trained on its speakers."""

    held_out: str | int | float
    n: Count
    clusters: Count | UnsetType = UNSET
    metrics: dict[str, Number]
    without_baseline: Annotated[
        dict[str, Number] | UnsetType, Meta(description="The same rows without the baseline that was asked for")
    ] = UNSET
    floor: Annotated[
        dict[str, Number] | UnsetType, Meta(description="Energy and pitch only, with the same folds")
    ] = UNSET


class HeadChoice(Struct, frozen=True, kw_only=True):
    """What was chosen in one fold, for the raw reading and the one relative to the speaker."""

    ridge: list[float] | UnsetType = UNSET
    temperature: list[float] | UnsetType = UNSET


class Folds(Struct, frozen=True, kw_only=True):
    """A cross-validation."""

    protocol: str | UnsetType = UNSET
    k: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    of: list[Fold]
    mean: dict[str, Number] | UnsetType = UNSET
    mean_without_baseline: dict[str, Number] | UnsetType = UNSET
    mean_floor: dict[str, Number] | UnsetType = UNSET
    heads: list[HeadChoice] | UnsetType = UNSET
    leakage: Leakage | UnsetType = UNSET


class EmotionSets(Struct, frozen=True, kw_only=True):
    """How often a mood names a set of emotions, how large it is, and how often it holds the label."""

    said: Annotated[float, Meta(description="Share of the rows for which a set is named")]
    names: Annotated[float | UnsetType, Meta(description="Mean size of a set")] = UNSET
    held: Annotated[Measured | UnsetType, Meta(description="Share of the sets that hold the label")] = UNSET


class Cost(Struct, frozen=True, kw_only=True):
    """Time and memory; differs from run to run."""

    rows_per_s: float | None = None
    latency_ms: Annotated[
        dict[str, float | None], Meta(description="Of one row by itself: percentiles, and `rows` measured")
    ] = {}
    audio_s: float | None = None
    real_time_factor: Annotated[float | None, Meta(description="Seconds of reading for a second of audio")] = None
    peak_rss_mb: float | None = None
    model_mb: float | None = None


class BadRowEntry(Struct, frozen=True, kw_only=True):
    """A row that could not be scored."""

    line: Count
    file: str | UnsetType | None = UNSET
    reason: str


class BadRows(Struct, frozen=True, kw_only=True):
    """How many rows could not be scored, and the first of them."""

    count: Count = 0
    first: list[BadRowEntry] = []


class Findings(Struct, frozen=True, kw_only=True):
    """The part of a report that is computed from labels and answers."""

    task: Literal["labels", "emotion", "sentiment", "stress", "affect", "mood", "situnes", "logs"]
    n: Annotated[Count, Meta(description="Rows that were scored, with abstentions")]
    clusters: Annotated[
        Count | UnsetType,
        Meta(description="Speakers, people or sessions that the bootstrap draws; an unnamed row is one of its own"),
    ] = UNSET
    abstained: Annotated[dict[str, Count], Meta(description="Reason to rows")] = {}
    metrics: Annotated[Figures, Meta(description="Figures over all rows")]
    per_class: Annotated[
        dict[str, ClassFigures], Meta(description="Class or label to its figures; empty for affect")
    ] = {}
    label_counts: Annotated[dict[str, Count] | UnsetType, Meta(description="Label to rows")] = UNSET
    confusion: Annotated[
        dict[str, dict[str, Count]] | UnsetType,
        Meta(description="True class to predicted class to rows; `abstained` is a column where they count"),
    ] = UNSET
    curves: Curves | UnsetType = UNSET
    groups: dict[str, Group] = {}
    gaps: list[Gap] | UnsetType = UNSET


class Report(Findings, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """What `assistant evaluate voice|text|mood|recommend` writes as report.json.

    Undefined numbers are null. Later versions may add members; the meaning of these stays.
    """

    provenance: Provenance = Provenance()
    splits: Annotated[Count | UnsetType, Meta(description="Of the data, each with its own fit; recommend")] = UNSET
    weights: Annotated[
        dict[str, float | None] | UnsetType,
        Meta(description="Of an estimate from logs: effective sample size, largest weight, its share, clipped"),
    ] = UNSET
    leakage: Leakage | UnsetType = UNSET
    conditions: list[ConditionResult] | UnsetType = UNSET
    folds: Folds | UnsetType = UNSET
    compared: Annotated[
        dict[str, dict[str, Number]] | UnsetType,
        Meta(description="The same rows read in other ways: name to figures"),
    ] = UNSET
    sets: EmotionSets | UnsetType = UNSET
    model: ModelIdentity
    options: Annotated[dict[str, Any], Meta(description="What was asked for, with defaults")] = {}
    bad_rows: BadRows | UnsetType = UNSET
    left_out: Annotated[Count | UnsetType, Meta(description="Rows that the label map leaves out")] = UNSET
    notes: list[str] = []
    cost: Cost | UnsetType = UNSET
    seconds: Annotated[float, Meta(ge=0, description="Duration of the whole run; differs from run to run")] = 0.0
