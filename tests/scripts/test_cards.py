"""The pages beside the models say what their cards say, and their examples work as pasted."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.behaviour.tables import behaviour
from scripts.cards import card as cards
from scripts.cards.page import page
from tests.conftest import ROOT

MODELS = ROOT / "models"
SCRIPTS = ROOT / "scripts"
NAMES = [card.parent.name for card in sorted(MODELS.glob("*/card.toml"))]

CARD = {
    "name": "text",
    "kind": "text",
    "version": "1",
    "summary": "A model.",
    "licence": "Apache-2.0",
    "sha256": "0" * 64,
    "outputs": {"stress": ["float32", "batch"]},
}
FIGURE = {"measure": "f1", "data": "a set", "value": 0.81234, "low": 0.7, "high": 0.9, "floor": 0.5, "n": 12}


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_a_card_stands_on_its_page(name: str) -> None:
    card = tomllib.loads((MODELS / name / "card.toml").read_text())
    shown = (MODELS / name / "README.md").read_text()
    for figure in [*card.get("figures", []), *card.get("comparison", []), *card.get("behaviour", [])]:
        if "value" in figure:
            assert f"{abs(figure['value']):.3f}" in shown, figure
    for data in card.get("training_data", []):
        assert data["licence"] in shown


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_page_works_as_pasted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"```python\n(.*?)```", (MODELS / name / "README.md").read_text(), re.DOTALL)
    assert len(examples) == 1
    exec(compile(examples[0], f"{name}/README.md", "exec"), {})
    assert re.search(r"\d\.\d|\de-", capsys.readouterr().out)


@pytest.mark.parametrize("picture", sorted(MODELS.glob("*/figures.svg")), ids=lambda file: file.parent.name)
def test_a_picture_is_small_and_well_formed(picture: Path) -> None:
    assert picture.stat().st_size < 30_000
    root = ElementTree.fromstring(picture.read_text())
    assert root.tag.endswith("svg")


def test_a_page_leaves_out_what_the_card_does_not_say() -> None:
    bare = page(CARD, {}, 1.0, pictured=False)
    for heading in (
        "## Figures",
        "## Compared",
        "## Calibration",
        "## Behaviour",
        "## Words of crisis",
        "figures.svg",
    ):
        assert heading not in bare
    crisis = {"figures": [{**FIGURE, "measure": "recall", "category": "explicit"}]}
    comparison = [{"name": "plain fine-tuning", **FIGURE, "ours": 0.6, "plain": 0.5}]
    full = page({**CARD, "figures": [FIGURE], "comparison": comparison}, crisis, 1.0, pictured=True)
    assert "| f1 | a set | 0.812 | 0.700–0.900 | 0.500 | 12 |" in full
    assert "| recall | a set · explicit | 0.812 |" in full
    assert "| plain fine-tuning | a set | f1 | +0.812 | +0.700 to +0.900 | 0.600 | 0.500 | 12 |" in full


def test_every_kind_of_behaviour_has_a_table() -> None:
    same = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 10, "command": "x"}
    shown = behaviour(
        [
            {
                "kind": "robustness",
                "name": "all transforms",
                "measure": "label_agreement",
                **same,
                "at_least": 0.95,
            },
            {
                "kind": "checklist",
                "name": "negation, all tests",
                "detail": "MFT",
                "measure": "failure_rate",
                **same,
            },
            {
                "kind": "fairness",
                "name": "descriptors",
                "detail": "age",
                "measure": "shift",
                **same,
                "at_most": 0.05,
            },
            {"kind": "feelings", "name": "quoted", "detail": "as joy", "measure": "misread_rate", **same},
            {"kind": "abstention", "name": "code", "detail": "language 9", "measure": "abstention_rate", **same},
        ]
    )
    assert shown.count("### ") == 5
    assert "| all transforms | 0.900 | 0.800–1.000 |" in shown
    assert "≥ 0.95: missed" in shown
    assert "Largest shift of an axis: **age**, +0.900." in shown


def test_behaviour_is_replaced_by_kind(tmp_path: Path) -> None:
    for name in ("model.onnx", "card.toml"):
        (tmp_path / name).write_bytes((MODELS / "vad" / name).read_bytes())
    kinds = ["robustness", "checklist"]
    cards.write_behaviour(tmp_path, "checklist", [{"kind": "checklist", "value": 1.0}], kinds)
    cards.write_behaviour(tmp_path, "robustness", [{"kind": "robustness", "value": 2.0}], kinds)
    cards.write_behaviour(tmp_path, "checklist", [{"kind": "checklist", "value": 3.0}], kinds)
    cards.write_figures(tmp_path, [FIGURE])
    card = cards.read_card(tmp_path)
    assert [(entry["kind"], entry["value"]) for entry in card["behaviour"]] == [
        ("robustness", 2.0),
        ("checklist", 3.0),
    ]
    assert card["figures"] == [FIGURE]
    assert card["sha256"] == cards.read_card(MODELS / "vad")["sha256"]
