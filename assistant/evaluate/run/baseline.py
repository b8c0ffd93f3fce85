"""How each speaker usually sounds, taken out of what was read: the served baseline, over a whole manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from assistant.audio.voice import VoiceScores, apply_baseline
from assistant.emotion import NO_BASELINE, Baseline, Usual
from assistant.errors import Invalid
from assistant.evaluate.run.outcomes import RowOutcome, RowOutcomes
from assistant.mood.baseline import update_baseline, usual_from

BaselineMode = Literal["none", "speaker", "online"]


class Habit:
    """The served baseline of one speaker, for observations of any length.

    A `Baseline` keeps at most eight numbers, so a longer observation is spread over several.
    """

    def __init__(self) -> None:
        self._parts: tuple[Baseline, ...] = ()

    def learn(self, observation: Sequence[float]) -> None:
        """Learn from one more utterance."""
        parts = list(_split_numbers(observation))
        known = self._parts or (NO_BASELINE,) * len(parts)
        self._parts = tuple(update_baseline(old, part) for old, part in zip(known, parts, strict=True))

    def usual(self, population: Sequence[float]) -> Usual | None:
        """What is known of the speaker; None before the first utterance."""
        pairs = zip(self._parts, _split_numbers(population), strict=False)
        known = [found for part, most in pairs if (found := usual_from(part, most))]
        return Usual(tuple(x for part in known for x in part.shift), known[0].trust) if known else None


def _split_numbers(numbers: Sequence[float]) -> Iterable[tuple[float, ...]]:
    return (tuple(numbers[at : at + Baseline.SIZE]) for at in range(0, len(numbers), Baseline.SIZE))


def subtract_baselines(
    outcomes: Sequence[RowOutcome], mode: BaselineMode, population: Sequence[float]
) -> Sequence[RowOutcome]:
    """Take each speaker's habit out of the scores, without labels.

    `online` knows the utterances before each one, in the order of the manifest: what users get. `speaker` knows
    all of a speaker's utterances. The reader applies a baseline to finished scores, so this equals reading again.
    Raises `Invalid` (`baseline_unsupported`) for a model whose card names no population.
    """
    if mode == "none":
        return outcomes
    size = next((len(o.scores.observation) for o in outcomes if isinstance(o.scores, VoiceScores)), None)
    if size is not None and size != len(population):
        needs = f"a personal baseline needs population.center in the model's card, of {size} numbers"
        raise Invalid(f"{needs}; it has {len(population)}", code="baseline_unsupported")
    found = move_outcomes(outcomes, mode, population)
    return outcomes.with_scores(found) if isinstance(outcomes, RowOutcomes) else list(found)


def move_outcomes(
    outcomes: Sequence[RowOutcome], mode: Literal["speaker", "online"], population: Sequence[float]
) -> Iterator[RowOutcome]:
    """One after the other, the outcomes relative to how their speakers usually sound."""
    habits: dict[str, Habit] = {}
    if mode == "speaker":
        for outcome in outcomes:
            if isinstance(outcome.scores, VoiceScores):
                habits.setdefault(outcome.row.speaker, Habit()).learn(outcome.scores.observation)
    for outcome in outcomes:
        scores = outcome.scores
        if isinstance(scores, VoiceScores):
            habit = habits.setdefault(outcome.row.speaker, Habit())
            if known := habit.usual(population):
                outcome = replace(outcome, scores=apply_baseline(known, scores))
            if mode == "online":
                habit.learn(scores.observation)
        yield outcome
