"""Somebody else's ONNX models, made for the test, measured through a card."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from onnx import TensorProto, helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from assistant.audio.pcm import Samples
from assistant.audio.voice import VoiceScores, check_head
from assistant.consent.grant import EvaluationGate
from assistant.emotion import Abstention
from assistant.errors import ConsentRequired, Invalid, ModelInvalid
from assistant.evaluate.command import RunOptions, evaluate
from assistant.evaluate.run import foreign_card
from assistant.evaluate.run.foreign import ForeignText, ForeignVoice
from assistant.evaluate.run.foreign_card import adapt_card, list_answerable, list_foreign_notes
from assistant.inference.batcher import Batcher
from assistant.inference.card import read_card
from assistant.inference.model import open_model
from assistant.text.reader import TextScores
from tests.conftest import ROOT
from tests.evaluate.graphs import MAP, constant, loudness_graph, saved, voice_card

RATE = 16_000


def a_voice(folder: Path, extra: str = MAP, **change: Any) -> Path:
    return saved(folder, loudness_graph(("batch", "samples")), voice_card(extra, **change))


def told(folder: Path, given: Samples | str, *, reader: Callable[..., Any] = ForeignVoice) -> Any:
    """What the reader makes of one clip or text."""

    async def read() -> Any:
        gate = EvaluationGate()
        grant = gate.issue("text" if isinstance(given, str) else "voice")
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(open_model(folder), pool, max_elements=1)
            try:
                return await reader(batcher, gate).read(grant, given, budget_s=60)
            finally:
                await batcher.close()

    return asyncio.run(read())


def level(size: float, samples: int = RATE) -> Samples:
    return np.full(samples, size, dtype=np.float32)


def test_logits_become_probabilities_of_our_names(tmp_path: Path) -> None:
    scores = told(a_voice(tmp_path / "theirs"), level(0.3))
    assert isinstance(scores, VoiceScores)
    assert scores.card.labels == ("anger", "joy", "neutral")
    logits = np.array([-4.0, 4.0, 0.0])
    assert scores.emotions == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-4)
    assert scores.stress == pytest.approx(scores.emotions[0])


def test_labels_that_share_a_name_are_summed(tmp_path: Path) -> None:
    folder = a_voice(tmp_path / "theirs", 'label_map = {ang = "anger", hap = "joy", neu = "joy"}')
    scores = told(folder, level(0.2))
    assert scores.card.labels == ("anger", "joy")
    assert scores.emotions == pytest.approx([1 / 3, 2 / 3], abs=1e-3)


def test_a_fixed_length_is_padded_and_long_clips_are_read_in_equal_windows(tmp_path: Path) -> None:
    graph = loudness_graph(("batch", 8000))
    folder = saved(tmp_path / "theirs", graph, voice_card(MAP, shape='"batch", 8000'))
    half = told(folder, level(0.4, 4000))  # with silence after it, .2 on average
    assert half.emotions == pytest.approx([1 / 3] * 3, abs=1e-3)
    parts = [told(folder, level(size, 8000)).emotions for size in (0.1, 0.3)]
    both = told(folder, np.concatenate([level(0.1, 8000), level(0.3, 8000)]))
    assert both.emotions == pytest.approx(np.mean(parts, axis=0), abs=1e-6)


def test_a_graph_without_a_batch_axis_or_with_a_channel_is_served_too(tmp_path: Path) -> None:
    one = saved(
        tmp_path / "one",
        loudness_graph((1, "samples")),
        voice_card(MAP, shape='1, "samples"').replace('"batch", 3', "1, 3"),
    )
    channel = saved(
        tmp_path / "channel",
        loudness_graph(("batch", 1, "samples")),
        voice_card(MAP, shape='"batch", 1, "samples"'),
    )
    plain = told(a_voice(tmp_path / "plain"), level(0.23)).emotions
    assert told(one, level(0.23)).emotions == pytest.approx(plain)
    assert told(channel, level(0.23)).emotions == pytest.approx(plain)


def test_the_sample_rate_and_the_level_are_those_that_the_graph_was_trained_on(tmp_path: Path) -> None:
    count = helper.make_graph(  # says how many samples it was given, and their mean square
        [
            helper.make_node("Shape", ["wave"], ["shape"]),
            helper.make_node("Gather", ["shape", "one"], ["length"]),
            helper.make_node("Cast", ["length"], ["samples_"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["wave", "wave"], ["square"]),
            helper.make_node("ReduceMean", ["square"], ["power"], axes=[1], keepdims=0),
            helper.make_node("Div", ["samples_", "thousand"], ["kilo"]),
            helper.make_node("Concat", ["kilo", "power"], ["flat"], axis=0),
            helper.make_node("Reshape", ["flat", "form"], ["logits"]),
        ],
        "count",
        [helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
        [
            constant("one", [1], np.int64),
            constant("thousand", [1000.0]),
            constant("form", [1, 2], np.int64),
        ],
    )
    card = voice_card(
        'sample_rate = 8000\nnormalise = "unit"\nscale = [-100, 100]',
        output="affect",
        shape='1, "samples"',
        labels='["arousal", "valence"]',
    ).replace('"batch", 2', "1, 2")
    scores = told(saved(tmp_path / "theirs", count, card), level(0.3) * np.sin(np.arange(RATE)).astype(np.float32))
    assert scores.affect == pytest.approx([0.01, 0.08], abs=1e-4)  # valence first: power 1; then 8 thousand samples


def test_affect_is_moved_from_its_scale_and_keeps_its_deviations(tmp_path: Path) -> None:
    graph = loudness_graph(("batch", "samples"), (10.0, 0.0, -10.0))
    card = voice_card(
        "scale = [1, 5]\ndeviation = [0.4, 0.4, 0.8]", output="affect", labels='["arousal", "dominance", "valence"]'
    )
    scores = told(saved(tmp_path / "theirs", graph, card), level(0.5))
    assert scores.affect == pytest.approx([-1.0, 0.0], abs=1e-5)  # valence -3 is cut at 1; arousal 3 is the middle
    assert scores.affect_deviation == pytest.approx([0.4, 0.2])
    found = read_card(tmp_path / "theirs")
    assert list_answerable(found, "affect", ("valence", "arousal")) == ("valence", "arousal")
    with pytest.raises(Invalid) as raised:
        list_answerable(found, "emotion", ("anger",))
    assert raised.value.code == "task_unsupported"


def test_probabilities_that_are_none_are_found_out(tmp_path: Path) -> None:
    folder = a_voice(tmp_path / "theirs", output="probabilities")
    with pytest.raises(ModelInvalid, match="logits"):
        told(folder, level(0.9))


def test_an_empty_clip_is_the_only_thing_it_abstains_from(tmp_path: Path) -> None:
    folder = a_voice(tmp_path / "theirs")
    assert told(folder, level(0.1, 0)) == Abstention("voice", "too_short")
    assert isinstance(told(folder, np.zeros(1, np.float32)), VoiceScores)
    with pytest.raises(Invalid) as raised:
        told(folder, np.full(100, np.nan, dtype=np.float32))
    assert raised.value.code == "audio_not_finite"


def test_it_needs_a_grant_as_ours_do(tmp_path: Path) -> None:
    async def read() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(open_model(a_voice(tmp_path / "theirs")), pool)
            elsewhere = EvaluationGate().issue("voice")
            await ForeignVoice(batcher, EvaluationGate()).read(elsewhere, level(0.1))

    with pytest.raises(ConsentRequired):
        asyncio.run(read())


# Text


WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "good", "bad")


def a_text(folder: Path, extra: str = "", *, output: str = "logits", tokens: int | str = "tokens") -> Path:
    """Logits: the mean of the embeddings of the tokens under the mask, each row with the batch axis alone."""
    table = np.zeros((len(WORDS), 2), dtype=np.float32)
    table[WORDS.index("good")] = [-3, 3]
    table[WORDS.index("bad")] = [3, -3]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["each"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "axis"], ["wide"]),
            helper.make_node("Mul", ["each", "wide"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "one"], ["logits"], keepdims=0),
        ],
        "bag",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", tokens]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", tokens]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [constant("table", table), constant("axis", [2], np.int64), constant("one", [1], np.int64)],
    )
    card = (
        f'kind = "text"\nlabels = ["neg", "pos"]\n[foreign]\noutput = "{output}"\n{extra}\n[inputs]\n'
        + f'input_ids = ["int64", "batch", {json.dumps(tokens)}]\n'
        f'attention_mask = ["int64", "batch", {json.dumps(tokens)}]\n'
        '[outputs]\nlogits = ["float32", "batch", 2]\n'
    )
    saved(folder, graph, card)
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


SENTIMENT = 'label_map = {neg = "negative", pos = "positive"}'


def test_texts_go_through_the_folders_own_tokenizer(tmp_path: Path) -> None:
    scores = told(a_text(tmp_path / "theirs", SENTIMENT), "good good", reader=ForeignText)
    assert isinstance(scores, TextScores)
    assert scores.sentiment == pytest.approx([0, 0, 1], abs=1e-4)
    assert told(tmp_path / "theirs", " \n", reader=ForeignText) == Abstention("text", "empty")


def test_long_texts_are_read_in_windows_and_averaged(tmp_path: Path) -> None:
    folder = a_text(tmp_path / "theirs", f"{SENTIMENT}\nmax_tokens = 6")
    scores = told(folder, "good good good good bad bad bad bad", reader=ForeignText)
    assert scores.sentiment == pytest.approx([0.5, 0, 0.5], abs=1e-3)


def test_a_graph_of_a_fixed_length_gets_padding_that_the_mask_hides(tmp_path: Path) -> None:
    folder = a_text(tmp_path / "theirs", SENTIMENT, tokens=6)
    assert told(folder, "bad", reader=ForeignText).sentiment == pytest.approx([1, 0, 0], abs=1e-2)
    both = told(folder, "good good good good bad bad bad bad", reader=ForeignText)
    assert both.sentiment == pytest.approx([0.5, 0, 0.5], abs=1e-3)


def test_independent_labels_each_have_their_own_probability(tmp_path: Path) -> None:
    folder = a_text(tmp_path / "theirs", 'label_map = {neg = "anger", pos = "joy"}', output="independent")
    scores = told(folder, "good", reader=ForeignText)
    assert scores.emotions == pytest.approx([1 / (1 + np.exp(3)), 1 / (1 + np.exp(-3))], rel=1e-4)
    assert scores.labels == ("joy",)


@pytest.mark.parametrize(
    ("task", "fits"),
    [("sentiment", True), ("emotion", False), ("stress", False), ("affect", False), ("labels", True)],
)
def test_a_model_is_only_asked_what_it_says(tmp_path: Path, task: Any, fits: bool) -> None:
    card = read_card(a_text(tmp_path / "theirs", SENTIMENT))
    if fits:
        assert list_answerable(card, task, ("a", "b")) == ("a", "b")
    else:
        with pytest.raises(Invalid, match="negative, positive") as raised:
            list_answerable(card, task, ("a", "b"))
        assert raised.value.code == "task_unsupported"


# Cards that are wrong


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ('label_map = {happy = "joy"}', "happy, which is not among the labels"),
        ("label_map = 3", "label_map must look like"),
        ('sample_rate = "16k"', "sample_rate must be a whole number"),
        ("sample_rate = 0", "sample_rate must be a whole number"),
        ('normalise = "loud"', "normalise must be one of none, unit"),
        ("scale = [5, 1]", "scale must be"),
        ("deviation = [0.1]", "deviation must be 3"),
        ("samlpes = 3", "has no samlpes; it may have"),
        ("min_samples = 9\nmax_samples = 8", "min_samples is more"),
        ('files = {"../secret" = "0"}', "must lie beside the card"),
        ('files = {"gone.data" = "0"}', "can't read"),
    ],
)
def test_a_wrong_card_is_refused_with_the_key_and_what_it_may_be(tmp_path: Path, extra: str, says: str) -> None:
    folder = a_voice(tmp_path / "theirs", extra)
    with pytest.raises(ModelInvalid, match=says.replace("(", r"\(")):
        adapt_card(read_card(folder))


def test_a_wrong_output_or_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="output must be one of"):
        adapt_card(read_card(a_voice(tmp_path / "a", output="softmax")))
    with pytest.raises(ModelInvalid, match="kind must be"):
        adapt_card(read_card(a_voice(tmp_path / "b", kind="picture")))
    with pytest.raises(ModelInvalid, match="among valence, arousal, dominance"):
        adapt_card(read_card(a_voice(tmp_path / "c", output="affect")))
    with pytest.raises(ModelInvalid, match="assistant evaluate text"):
        told(a_text(tmp_path / "d", SENTIMENT), level(0.1), reader=ForeignVoice)
    short = a_voice(tmp_path / "e", "", labels='["a", "b"]')
    with pytest.raises(ModelInvalid, match="logits"):
        told(short, level(0.1))


def test_weights_beside_the_graph_are_checked_too(tmp_path: Path) -> None:
    folder = a_voice(tmp_path / "theirs")
    weights = folder / "model.onnx.data"
    weights.write_bytes(b"weights")
    with pytest.raises(ModelInvalid, match="list it with its sha256"):
        adapt_card(read_card(folder))
    digest = hashlib.sha256(b"weights").hexdigest()
    card = folder / "card.toml"
    card.write_text(card.read_text().replace(MAP, f'{MAP}\nfiles = {{"model.onnx.data" = "{digest}"}}'))
    assert adapt_card(read_card(folder)).labels == ("anger", "joy", "neutral")
    weights.write_bytes(b"others")
    with pytest.raises(ModelInvalid, match="not the file its card describes"):
        adapt_card(read_card(folder))


def test_a_graph_that_was_swapped_is_refused(tmp_path: Path) -> None:
    folder = a_voice(tmp_path / "theirs")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelInvalid, match="sha256"):
        open_model(folder)


def test_a_card_of_ours_stays_as_it_is() -> None:
    card = read_card(ROOT / "models" / "voice")
    assert adapt_card(card) is card
    assert list_answerable(card, "emotion", ("anger",)) == ("anger",)
    assert list_foreign_notes(card, "emotion") == []


# Through the command


def measured(modality: Any, data: Path, model: Path, **options: Any) -> dict[str, Any]:
    out = data.parent / "out"
    assert evaluate(RunOptions(modality, data, model=model, out=out, bootstrap=50, **options)) == 0
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def test_a_model_of_ones_own_is_measured_on_data_of_ones_own(tmp_path: Path) -> None:
    lines = ["file,speaker,emotion"]
    for at, (size, label) in enumerate([(0.1, "angry"), (0.3, "joy"), (0.1, "angry"), (0.1, "joy")]):
        soundfile.write(tmp_path / f"{at}.wav", level(size, 4000), 8000, subtype="FLOAT")  # any rate
        lines.append(f"{at}.wav,s{at},{label}")
    lines.append("gone.wav,s1,joy")
    (tmp_path / "d.csv").write_text("\n".join(lines))
    (tmp_path / "map.json").write_text('{"angry": "anger"}')
    model = a_voice(tmp_path / "theirs")
    report = measured("voice", tmp_path / "d.csv", model, label_map=tmp_path / "map.json")
    assert report["metrics"]["uar"]["value"] == 0.75
    assert (report["n"], report["bad_rows"]["count"], report["abstained"]) == (4, 1, {})
    assert (report["model"]["name"], report["model"]["sha256"]) == ("theirs", read_card(model).sha256)
    assert any("third-party" in note for note in report["notes"])


def test_a_text_model_of_ones_own_is_measured_for_sentiment(tmp_path: Path) -> None:
    data = tmp_path / "d.csv"
    data.write_text("text,sentiment\ngood,positive\nbad bad,negative\ngood bad bad,positive\n")
    report = measured("text", data, a_text(tmp_path / "theirs", SENTIMENT), task="sentiment")
    assert report["metrics"]["macro_recall"]["value"] == 0.75


def test_stress_may_be_a_label_of_its_own(tmp_path: Path) -> None:
    data = tmp_path / "d.csv"
    data.write_text("text,stress\ngood,0\nbad,1\nbad bad,1\ngood bad,1\n")
    model = a_text(tmp_path / "theirs", 'label_map = {neg = "stress", pos = "calm"}')
    report = measured("text", data, model, task="stress")
    assert report["metrics"]["accuracy"]["value"] == 1.0  # at one half, "good bad" counts as stress


def test_what_it_can_not_be_asked_is_said_at_once(tmp_path: Path) -> None:
    data = tmp_path / "d.csv"
    data.write_text("text,emotion\ngood,joy\n")
    model = a_text(tmp_path / "theirs", SENTIMENT)
    with pytest.raises(Invalid) as raised:
        measured("text", data, model)
    assert raised.value.code == "task_unsupported"
    (tmp_path / "v.csv").write_text("file,speaker,emotion\na.wav,s,joy\n")
    with pytest.raises(Invalid) as raised:
        measured("voice", tmp_path / "v.csv", a_voice(tmp_path / "voice"), baseline="online")
    assert raised.value.code == "baseline_unsupported"


def test_it_is_never_served_to_people(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="is not a voice model"):
        check_head(read_card(a_voice(tmp_path / "theirs")))


def test_the_card_in_the_help_is_one(tmp_path: Path) -> None:
    example = foreign_card.HELP.split("For example:\n")[1].split("More under")[0]
    (tmp_path / "card.toml").write_text(example)
    card = adapt_card(read_card(tmp_path))
    assert card.labels == ("anger", "joy", "neutral", "sadness")
    for key in (
        "sample_rate",
        "samples",
        "max_samples",
        "min_samples",
        "normalise",
        "max_tokens",
        "scale",
        "deviation",
    ):
        assert key in foreign_card.HELP
