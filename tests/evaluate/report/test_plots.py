"""Plots: shapes where the numbers belong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import pytest

from assistant.evaluate.report.plots import bar, confusion, levels, reliability, risk_coverage, ticks
from assistant.evaluate.report.report import Measured
from assistant.evaluate.report.view import Shape


def points(shapes: Sequence[Shape], kind: str) -> Iterator[Mapping[str, str]]:
    return (one.attributes for one in shapes if one.element == kind)


def test_a_bar_puts_value_and_interval_where_they_belong() -> None:
    drawn = bar(Measured(0.5, 0.4, 0.7), (0.0, 1.0), mark=0.25)
    (dot,) = points(drawn, "circle")
    assert dot["cx"] == "50.00%"
    lines = {a["class"]: (a["x1"], a["x2"]) for a in points(drawn, "line")}
    assert lines["whisker"] == ("40.00%", "70.00%")
    assert lines["mark"] == ("25.00%", "25.00%")
    assert not list(points(bar(Measured(None, None, None), (0.0, 1.0)), "circle"))
    (outside,) = points(bar(Measured(3.0, None, None), (0.0, 1.0)), "circle")
    assert outside["cx"] == "100.00%"


def test_a_reliability_diagram_has_a_point_per_bin_that_holds_predictions() -> None:
    drawn = reliability("r", [0.0, 0.5, 1.0], [0, 10], [None, 0.8], [None, 0.6])
    (dot,) = points(drawn.shapes, "circle")
    ideal = next(a for a in points(drawn.shapes, "path") if a["class"] == "ideal")
    numbers = [float(part) for part in re.findall(r"[\d.]+", str(ideal["d"]))]
    left, bottom, right, top = numbers
    assert float(str(dot["cx"])) == pytest.approx(left + 0.8 * (right - left), abs=0.01)
    assert float(str(dot["cy"])) == pytest.approx(bottom + 0.6 * (top - bottom), abs=0.01)
    assert len(list(points(drawn.shapes, "rect"))) == 1


def test_empty_curves_are_drawn_as_empty_axes() -> None:
    assert "No row was answered" in risk_coverage("r", [], []).description
    assert "0 bins" in reliability("r", [0.0, 1.0], [0], [None], [None]).description


def test_a_cell_of_the_confusion_matrix_is_as_strong_as_its_share() -> None:
    drawn = confusion("c", {"a": {"a": 3, "b": 1}, "b": {"a": 0, "b": 0}})
    strengths = [a["fill-opacity"] for a in points(drawn.shapes, "rect") if "fill-opacity" in a]
    assert strengths == ["0.750", "0.250", "0.000", "0.000"]


def test_a_level_without_an_interval_still_has_its_point() -> None:
    drawn = levels("l", "dB", "UAR", [(0.0, Measured(0.4, 0.3, 0.5)), (10.0, Measured(0.6, None, None))], 0.7)
    assert len(list(points(drawn.shapes, "circle"))) == 2
    assert len([a for a in points(drawn.shapes, "line") if a["class"] == "whisker"]) == 1


@pytest.mark.parametrize(("low", "high"), [(0, 1e-6), (0, 3.7), (-20, 20), (16, 16), (0, 1e9)])
def test_ticks_are_few_in_order_and_inside(low: float, high: float) -> None:
    at = ticks(low, high)
    assert 1 <= len(at) <= 6
    assert at == sorted(set(at))
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in at)
