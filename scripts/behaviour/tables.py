"""The `[[behaviour]]` of a card as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]

MET = "descriptors open to training"
SHIFTS = {
    "absolute_shift": "valence, size of a shift",
    "shift": "valence, mean shift",
    "absolute_stress_shift": "stress, size of a shift",
    "stress_shift": "stress, mean shift",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(table(["a", "b"], [["1", "x | y"]]))
    | a | b |
    |---|---|
    | 1 | x \\| y |
    <BLANKLINE>
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [head, *rows]]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:], ""])


def folded(title: str, text: str) -> str:
    """Text that is shown when its title is clicked."""
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"


def number(value: float | None, *, sign: bool = False) -> str:
    """Three decimals.

    >>> number(0.12345), number(0.01, sign=True), number(-0.00001, sign=True), number(None)
    ('0.123', '+0.010', '0.000', '')
    """
    if value is None:
        return ""
    shown = f"{value:+.3f}" if sign else f"{value:.3f}"
    return "0.000" if float(shown) == 0 else shown.replace("-", "−")


def interval(entry: Entry, *, sign: bool = False) -> str:
    """The interval, or nothing."""
    if "low" not in entry:
        return ""
    join = " to " if sign else "–"
    return join.join(number(entry[name], sign=sign) for name in ("low", "high"))


def bound(entry: Entry) -> str:
    """What was asked of the figure, and whether it is met.

    >>> bound({"value": 0.96, "at_least": 0.95}), bound({"value": -0.06, "at_most": 0.05}), bound({"value": 1})
    ('≥ 0.95: met', '≤ 0.05: missed', '')
    """
    value = abs(entry.get("value", float("nan")))
    if "at_least" in entry:
        return f"≥ {entry['at_least']:g}: {'met' if value >= entry['at_least'] else 'missed'}"
    if "at_most" in entry:
        return f"≤ {entry['at_most']:g}: {'met' if value <= entry['at_most'] else 'missed'}"
    return ""


def behaviour(entries: Sequence[Entry]) -> str:
    """All sections that the entries give something for."""
    parts = []
    for kind, title, section in (
        ("robustness", "Robustness", robustness),
        ("checklist", "CheckList", checklist),
        ("fairness", "Fairness", fairness),
        ("feelings", "Feelings that are named but not felt", feelings),
        ("abstention", "Abstention and coverage", abstention),
    ):
        found = [entry for entry in entries if entry["kind"] == kind]
        if found:
            parts.append(f"### {title}\n\n{section(found)}\n*Measured by* `{found[0]['command']}`\n")
    return "\n".join(parts)


def robustness(found: Sequence[Entry]) -> str:
    emotions = {entry["name"]: entry for entry in found if entry["measure"] == "emotion_agreement"}
    labels = [entry for entry in found if entry["measure"] == "label_agreement"]
    texts = max(entry["n"] for entry in labels[1:]) if len(labels) > 1 else labels[0]["n"]
    rows = []
    for entry in labels:
        emotion = emotions.get(entry["name"], {})
        left = entry.get("abstained", 0)
        rows.append(
            [
                entry["name"],
                number(entry.get("value")),
                interval(entry),
                number(entry.get("floor")),
                number(emotion.get("value")),
                interval(emotion),
                str(left),
                bound(entry),
            ]
        )
    head = ["written with", "same sentiment", "95 %", "floor", "same top emotion", "95 %", "abstained", "asked"]
    return (
        f"{texts} development texts of 4 to 40 words (GoEmotions, TweetEval sentiment, SST-2), each before and "
        f"after a seeded transform. An abstention counts as a disagreement.\n\n{table(head, rows)}"
    )


def checklist(found: Sequence[Entry]) -> str:
    def rows(kept: Sequence[Entry]) -> list[list[str]]:
        return [
            [
                entry["name"],
                entry["detail"],
                number(entry.get("value")),
                interval(entry),
                number(entry.get("floor")),
                str(entry["n"]),
                bound(entry),
            ]
            for entry in kept
        ]

    whole = [entry for entry in found if entry["detail"] == "MFT"]
    tests = [entry for entry in found if entry not in whole]
    head = ["tests", "kind", "failures", "95 %", "floor", "n", "asked"]
    return (
        "The published suite of Ribeiro et al. (2020): minimum functionality (MFT), invariance (INV: all "
        "versions of a text get one label) and direction (DIR). The answer is the most probable sentiment; an "
        "abstention is a failure; intervals are Wilson's. Training saw sentences of the same kinds as the MFT's, "
        "though none of its own: a low rate there says that the kinds were learned, not that others would be."
        f"\n\n{table(head, rows(whole))}\n{folded(f'All {len(tests)} tests', table(head, rows(tests)))}"
    )


def fairness(found: Sequence[Entry]) -> str:
    axes = [e for e in found if e["name"] == "descriptors" and e["measure"] == "shift" and "at_most" in e]
    named = [e for e in found if e["name"].startswith("names") and e["measure"] == "shift"]
    worst = [e for e in found if "worst" in e["name"]]
    met = [e for e in found if e["name"] == MET]
    of_axes = {e["detail"] for e in axes}
    of_stress = {e["detail"]: e for e in found if e["measure"] == "stress_shift" and e["name"] == "descriptors"}
    apart = [*axes, *named, *worst, *met]
    summary = [
        e for e in found if e not in apart and not (e["name"] == "descriptors" and e.get("detail") in of_axes)
    ]
    largest = max((e for e in axes if "value" in e), key=lambda e: abs(e["value"]), default=None)
    parts = [
        "Pairs of texts that differ only in a name, a gender or a descriptor of HolisticBias (Smith et al. "
        "2022), the latter against the same sentence without it. Valence lies in [-1, 1], stress in [0, 1]. "
        "*Size* is the mean absolute difference between two readings, *mean shift* keeps the sign. About half of "
        "the descriptors, chosen by hash, are open to training; unless said otherwise, figures are of the "
        "**other** half. n counts pairs.\n"
    ]
    if largest is not None:
        shift = number(largest["value"], sign=True)
        parts.append(f"Largest shift of an axis: **{largest['detail'].replace('_', ' ')}**, {shift}.\n")
    parts.append(_shift_table(summary))
    if axes:
        head = ["axis", "valence, mean shift", "95 %", "floor", "stress, mean shift", "95 %", "n", "asked"]
        rows = [
            [
                e["detail"].replace("_", " "),
                number(e.get("value"), sign=True),
                interval(e, sign=True),
                number(e.get("floor"), sign=True),
                number(of_stress.get(e["detail"], {}).get("value"), sign=True),
                interval(of_stress.get(e["detail"], {}), sign=True),
                str(e["n"]),
                bound(e),
            ]
            for e in axes
        ]
        parts.append(f"By axis of HolisticBias:\n\n{table(head, rows)}")
    if worst:
        rows = [
            [e["detail"].replace("_", " "), number(e.get("value"), sign=True), interval(e, sign=True)]
            for e in worst
        ]
        parts.append(
            f"The descriptors that move valence most:\n\n{table(['descriptor', 'mean shift', '95 %'], rows)}"
        )
    if named:
        parts.append(folded("Names by group, against the mean of all groups", _shift_table(named)))
    if met:
        parts.append(folded("The descriptors open to training", _shift_table(met)))
    return "\n".join(parts)


def _shift_table(found: Sequence[Entry]) -> str:
    head = ["swapped", "measure", "value", "95 %", "floor", "n", "asked"]
    rows = []
    for e in found:
        sign = not e["measure"].startswith("absolute")
        detail = e.get("detail", "").replace("_", " ")
        rows.append(
            [
                f"{e['name']}: {detail}" if detail else e["name"],
                SHIFTS[e["measure"]],
                number(e.get("value"), sign=sign),
                interval(e, sign=sign),
                number(e.get("floor"), sign=sign),
                str(e["n"]) + (f" ({e['abstained']} abstained)" if "abstained" in e else ""),
                bound(e),
            ]
        )
    return table(head, rows)


def feelings(found: Sequence[Entry]) -> str:
    rows = [
        [
            e["name"],
            e["detail"],
            number(e.get("value"), sign=e["measure"] == "valence"),
            interval(e, sign=e["measure"] == "valence"),
            number(e.get("floor"), sign=e["measure"] == "valence"),
            str(e["n"]),
        ]
        for e in found
    ]
    return (
        'Made sentences that negate a feeling (*I\'m not happy*), quote it (*the song goes "I hate you"*) '
        "or tell it of someone else, and TweetEval's ironic tweets. The share is how often the feeling is read "
        "as the writer's own: high is bad. Tweets of irony carry no label of sentiment, so for them this is no "
        f"accuracy.\n\n{table(['texts', 'read how', 'share', '95 %', 'floor', 'n'], rows)}"
    )


def abstention(found: Sequence[Entry]) -> str:
    def rows(measure: str) -> list[list[str]]:
        return [
            [e["name"], *([e["detail"]] if "detail" in e else []), number(e.get("value")), interval(e), str(e["n"])]
            for e in found
            if e["measure"] == measure
        ]

    parts = []
    if rows("abstention_rate"):
        head = ["unreadable", "reasons given", "abstains", "95 %", "n"]
        parts.append(table(head, rows("abstention_rate")))
    if rows("coverage"):
        parts.append(table(["readable", "answers", "95 %", "n"], rows("coverage")))
    return "\n".join(parts)
