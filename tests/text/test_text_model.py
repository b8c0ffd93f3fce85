"""The shipped text model: a text's result is its own, whoever's text is read beside it."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.config import shipped_models
from assistant.inference.card import read_card
from assistant.inference.model import Model, open_model
from assistant.text.clean import clean
from assistant.text.reader import TextTokenizer
from tests.conftest import shared_session

MODELS = shipped_models()
TEXTS = [
    "Thank you so much, that made my day!",
    "I can't believe they cancelled it again.",
    "ok",
    "My exam is tomorrow and I have not slept.",
    "We meet at three in the small room.",
]
OUTLIERS = ["!" * 40, "zzzz qqqq xxxx 00000 ÿÿÿ", "hate " * 60, "[MASK] [SEP] [CLS]"]


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(MODELS / "text", shared_session)


@pytest.fixture(scope="module")
def tokens(model: Model) -> TextTokenizer:
    return TextTokenizer(model.card.folder, max_tokens=int(model.card.data["max_tokens"]))


def rows(tokens: TextTokenizer, texts: list[str], size: int) -> dict[str, np.ndarray]:
    ids = [tokens.windows(clean(text))[0][:size] for text in texts]
    return {
        "input_ids": np.array([[*row, *[0] * (size - len(row))] for row in ids], np.int64),
        "attention_mask": np.array([[1] * len(row) + [0] * (size - len(row)) for row in ids], np.int64),
    }


def test_company_changes_no_bit(model: Model, tokens: TextTokenizer) -> None:
    together = model.run(rows(tokens, TEXTS + OUTLIERS * 7, 32))
    for at, text in enumerate(TEXTS):
        alone = model.run(rows(tokens, [text], 32))
        for name, values in alone.items():
            assert np.array_equal(values[0], together[name][at]), f"{name} of {text!r} depends on its neighbours"


def test_padding_changes_no_bit(model: Model, tokens: TextTokenizer) -> None:
    short = model.run(rows(tokens, TEXTS, 16))
    for size in (32, 48, 128):
        padded = model.run(rows(tokens, TEXTS, size))
        for name, values in short.items():
            assert np.array_equal(values, padded[name]), f"{name} depends on padding to {size}"


def test_the_neighbours_are_read_differently(model: Model, tokens: TextTokenizer) -> None:
    """Or the tests above would pass with a model that says the same of everything."""
    found = model.run(rows(tokens, TEXTS, 16))["sentiment"]
    assert len({row.tobytes() for row in found}) == len(TEXTS)
    assert found[0].argmax() == 2
    assert found[1].argmax() == 0


def test_the_graph_is_small(model: Model) -> None:
    assert model.card.graph.stat().st_size <= 32_000_000


def test_int8_says_what_it_costs() -> None:
    int8 = read_card(MODELS / "text").data["int8"]
    assert int8["goemotions_macro_f1_fp32"] - int8["goemotions_macro_f1_int8"] <= 0.005
    assert int8["labels_that_flip"] <= 0.01
    assert int8["largest_change_in_company"] == 0
