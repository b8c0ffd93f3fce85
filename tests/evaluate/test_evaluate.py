"""`assistant evaluate` over models made for the test: what a researcher's files do to it."""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from assistant.config import shipped_models
from assistant.emotion import NO_BASELINE, Usual
from assistant.errors import AssistantError, Invalid, ModelInvalid, NotFound, Unavailable
from assistant.evaluate.command import RunOptions, configure, evaluate
from assistant.evaluate.run.baseline import Habit, subtract_baselines
from assistant.evaluate.tables.manifest import read_manifest
from assistant.inference.card import read_card
from assistant.mood.baseline import update_baseline, usual_from
from tests.conftest import shared_session

VOICES = ("anger", "joy", "neutral", "sadness")
FINE = ("anger", "joy", "love", "optimism", "sadness", "neutral")
WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", *FINE, "stressed", "broken", "nan")


GRAPH = b"a graph"
SHA256 = hashlib.sha256(GRAPH).hexdigest()
BEHIND_STEM = f'stem = "stem"\nstem_sha256 = "{SHA256}"'
QUALITIES = 'qualities = ["fine", "too_noisy", "not_speech"]\nfine_threshold = 0.5'


@dataclass
class Node:
    name: str
    shape: list[Any]


@dataclass
class FakeSession:
    """Answers by a function of one row, and counts the rows it was asked."""

    ports: dict[str, dict[str, list[Any]]]
    answer: Callable[[dict[str, Any]], dict[str, Any]]
    rows: list[Any] = field(default_factory=list)

    def get_inputs(self) -> list[Node]:
        return [Node(name, shape[1:]) for name, shape in self.ports["inputs"].items()]

    def get_outputs(self) -> list[Node]:
        return [Node(name, shape[1:]) for name, shape in self.ports["outputs"].items()]

    def run(self, outputs: Sequence[str] | None, inputs: dict[str, Any]) -> list[Any]:
        count = len(next(iter(inputs.values())))
        answers = [self.answer({name: value[at] for name, value in inputs.items()}) for at in range(count)]
        self.rows += answers
        return [np.array([a[name] for a in answers], dtype=np.float32) for name in self.ports["outputs"]]


def a_model(folder: Path, labels: Sequence[str], ports: dict[str, dict[str, list[Any]]], extra: str) -> Path:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(GRAPH)
    lines = [
        f'name = "{folder.name}"\nkind = "{folder.name}"\nlicence = "none"',
        f'sha256 = "{SHA256}"',
        f"labels = {json.dumps(list(labels))}\n{extra}",
        *(f"[{what}]\n" + "\n".join(f"{n} = {json.dumps(s)}" for n, s in p.items()) for what, p in ports.items()),
    ]
    (folder / "card.toml").write_text("\n".join(lines))
    return folder


STATES: dict[str, list[Any]] = {
    "states": ["float32", "batch", "frames", 1, 1],
    "loudness": ["float32", "batch", "frames"],
}
STEM_PORTS = {"inputs": {"audio": ["float32", "batch", "samples"]}, "outputs": STATES}


def voice_ports(labels: int = 4) -> dict[str, dict[str, list[Any]]]:
    return {
        "inputs": STATES,
        "outputs": {
            "emotions": ["float32", "batch", labels],
            "relative": ["float32", "batch", labels],
            "affect": ["float32", "batch", 2],
            "affect_deviation": ["float32", "batch", 2],
            "stress": ["float32", "batch"],
            "quality": ["float32", "batch", 3],
        },
    }


TEXT_PORTS: dict[str, dict[str, list[Any]]] = {
    "inputs": {
        "input_ids": ["int64", "batch", "tokens"],
        "attention_mask": ["int64", "batch", "tokens"],
    },
    "outputs": {
        "emotions": ["float32", "batch", len(FINE)],
        "sentiment": ["float32", "batch", 3],
        "affect": ["float32", "batch", 3],
        "affect_deviation": ["float32", "batch", 3],
        "stress": ["float32", "batch"],
    },
}


def read_text(row: dict[str, Any]) -> dict[str, Any]:
    """Every emotion that the text names has probability .9; good words are positive."""
    said = {WORDS[token] for token in row["input_ids"]}
    if "broken" in said:
        raise RuntimeError("this row breaks the graph")
    emotions = [0.9 if name in said else 0.05 for name in FINE]
    good, bad = bool(said & {"joy", "love", "optimism"}), bool(said & {"anger", "sadness"})
    return {
        "emotions": [float("nan")] * len(FINE) if "nan" in said else emotions,
        "sentiment": [0.8, 0.1, 0.1] if bad else [0.1, 0.2, 0.7] if good else [0.3, 0.5, 0.2],
        "affect": [0.5 if good else -0.5 if bad else 0.0, 0.1, 0.2],
        "affect_deviation": [0.3, 0.3, 0.3],
        "stress": 0.8 if "stressed" in said else 0.1,
    }


def encode(row: dict[str, Any]) -> dict[str, Any]:
    """One frame that holds the clip's level."""
    return {"states": [[[float(np.abs(row["audio"]).max())]]], "loudness": [0.0]}


def read_voice(row: dict[str, Any]) -> dict[str, Any]:
    """A clip's level says the emotion: .1 for the first label, .2 for the second, and so on."""
    which = round(float(row["states"].max()) * 10) - 1
    emotions = [0.7 if at == which else 0.1 for at in range(4)]
    return {
        "emotions": emotions,
        "relative": np.log(emotions) - np.log(emotions).mean(),
        "affect": [which / 4, -which / 4],
        "affect_deviation": [0.2, 0.2],
        "stress": emotions[0],
        "quality": [0.8, 0.1, 0.1],
    }


@pytest.fixture
def text_model(tmp_path: Path) -> Path:
    folder = a_model(tmp_path / "text", FINE, TEXT_PORTS, f"max_tokens = 32\nthresholds = {[0.5] * len(FINE)}")
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def voice_model(tmp_path: Path) -> Path:
    a_model(tmp_path / "stem", (), STEM_PORTS, "min_samples = 1600\nmax_samples = 48000")
    center = "population = {center = [0.0, 0.0, 0.0, 0.0, 0.0]}"
    return a_model(tmp_path / "voice", VOICES, voice_ports(), f"{BEHIND_STEM}\n{QUALITIES}\n{center}")


def clip(folder: Path, name: str, emotion: str, seconds: float = 0.2) -> None:
    level = (VOICES.index(emotion) + 1) / 10
    tone = level * (np.arange(int(seconds * 16_000)) % 63 / 31 - 1)
    soundfile.write(folder / name, tone, 16_000, subtype="FLOAT")


def a_table(file: Path, *lines: str) -> Path:
    content = "\n".join(lines) + "\n"
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(content.encode()))
    else:
        file.write_text(content, encoding="utf-8")
    return file


def measure(
    modality: str, data: Path, model: Path, head: FakeSession | None = None, **options: Any
) -> dict[str, Any]:
    """Evaluate without ONNX; the report, read back as strict JSON."""
    out = data.parent / "out"
    sessions = {
        "text": FakeSession(TEXT_PORTS, read_text),
        "stem": FakeSession(STEM_PORTS, encode),
        "voice": head or FakeSession(voice_ports(), read_voice),
    }
    asked = RunOptions(modality, data, model=model, out=out, **{"bootstrap": 50, **options})  # type: ignore[arg-type]
    assert evaluate(asked, session=lambda graph: sessions[graph.parent.name]) == 0

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    report: dict[str, Any] = json.loads((out / "report.json").read_text(), parse_constant=refuse)
    return report


def predictions(data: Path) -> list[dict[str, str]]:
    with (data.parent / "out" / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_label_sets_are_scored_over_all_labels_of_the_card(tmp_path: Path, text_model: Path) -> None:
    data = a_table(tmp_path / "d.csv", "text,labels", "joy love,joy|love", "anger,anger|sadness", "neutral,joy")
    report = measure("text", data, text_model, task="labels")
    # F1: anger 1, joy 2/3, love 1, sadness 0, and 0 for optimism and neutral
    assert report["metrics"]["macro_f1"]["value"] == pytest.approx((1 + 2 / 3 + 1) / 6, abs=1e-6)
    assert report["metrics"]["micro_f1"]["value"] == pytest.approx(2 * 3 / (4 + 5), abs=1e-6)
    assert report["per_class"]["anger"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1, "auc": 1.0}
    assert report["per_class"]["optimism"]["f1"] is None
    # of four predictions at .9, three are right
    assert report["metrics"]["ece"]["value"] == pytest.approx(0.9 - 0.75, abs=1e-6)
    assert predictions(data)[1]["prediction"] == "anger"


def test_an_abstention_is_the_empty_set_for_labels(tmp_path: Path, text_model: Path) -> None:
    data = a_table(tmp_path / "d.csv", "text,labels", "joy,joy", '" ",joy', "neutral,neutral")
    report = measure("text", data, text_model, task="labels")
    assert report["abstained"] == {"empty": 1}
    assert report["per_class"]["joy"]["recall"] == 0.5
    assert report["metrics"]["coverage"]["value"] == pytest.approx(2 / 3, abs=1e-6)


def test_emotions_are_predicted_among_the_classes_present(tmp_path: Path, text_model: Path) -> None:
    data = a_table(tmp_path / "d.tsv", "text\temotion", "joy anger\tjoy", "sadness\tsadness", "neutral\tsadness")
    report = measure("text", data, text_model)
    assert set(report["per_class"]) == {"joy", "sadness"}  # anger was said, and can't be predicted
    assert predictions(data)[0]["prediction"] == "joy"
    assert sum(float(predictions(data)[0][f"p_{name}"]) for name in ("joy", "sadness")) == pytest.approx(1)
    assert "closed set" in report["notes"][0]


def test_shared_names_gather_the_fine_labels_and_other_names_are_the_models_own(
    tmp_path: Path, text_model: Path
) -> None:
    shared = a_table(tmp_path / "a.csv", "text,emotion", "love,joy", "anger,anger")
    assert measure("text", shared, text_model)["metrics"]["accuracy"]["value"] == 1.0
    own = a_table(tmp_path / "b.csv", "text,emotion", "love,joy", "optimism,optimism", "anger,anger")
    measure("text", own, text_model)
    assert float(predictions(own)[0]["p_joy"]) == pytest.approx(1 / 3, abs=1e-4)


def test_a_label_map_renames_and_leaves_out(tmp_path: Path, text_model: Path) -> None:
    (tmp_path / "map.json").write_text('{"Happy": "joy", "bored": null}')
    data = a_table(tmp_path / "d.csv.gz", "text,emotion", "joy,happy", "joy,BORED", "anger,anger", "anger,puzzled")
    report = measure("text", data, text_model, label_map=tmp_path / "map.json")
    assert (report["n"], report["left_out"], report["bad_rows"]["count"]) == (2, 1, 1)
    assert report["bad_rows"]["first"][0]["line"] == 5
    assert "'puzzled'" in report["bad_rows"]["first"][0]["reason"]
    assert report["options"]["label_map"] == {"happy": "joy", "bored": None}


@pytest.mark.parametrize("content", ['{"x": "glee"}', "[1]", "{"])
def test_a_label_map_that_says_nothing_known_is_refused(content: str, tmp_path: Path, text_model: Path) -> None:
    (tmp_path / "map.json").write_text(content)
    data = a_table(tmp_path / "d.csv", "text,emotion", "joy,joy")
    with pytest.raises(Invalid) as raised:
        measure("text", data, text_model, label_map=tmp_path / "map.json")
    assert raised.value.code == "label_map_invalid"


def test_sentiment_is_scored_by_recall_of_the_classes(tmp_path: Path, text_model: Path) -> None:
    data = a_table(
        tmp_path / "d.csv", "text,sentiment", "joy,positive", "love,Positive", "anger,negative", "neutral,negative"
    )
    report = measure("text", data, text_model, task="sentiment")
    # without neutral among the classes, the neutral text is read as negative: .3 against .2
    assert report["metrics"]["macro_recall"]["value"] == 1.0
    assert report["confusion"]["negative"] == {"negative": 2, "positive": 0, "abstained": 0}


def test_stress_has_an_f1_at_its_threshold_and_an_auc(tmp_path: Path, text_model: Path) -> None:
    rows = ("stressed,1", "stressed joy,1.0", "joy,0", "love,1")
    report = measure("text", a_table(tmp_path / "d.csv", "text,stress", *rows), text_model, task="stress")
    assert report["metrics"]["f1"]["value"] == pytest.approx(0.8)
    assert report["metrics"]["auc"]["value"] == pytest.approx((1 + 1 + 0.5) / 3, abs=1e-6)
    card = text_model / "card.toml"
    card.write_text(card.read_text().replace("max_tokens", "stress_threshold = 0.05\nmax_tokens"))
    again = measure("text", tmp_path / "d.csv", text_model, task="stress")
    assert again["metrics"]["f1"]["value"] == pytest.approx(6 / 7, abs=1e-6)  # now all are stressed


def test_one_class_alone_gives_null_and_not_nan(tmp_path: Path, text_model: Path) -> None:
    stress = a_table(tmp_path / "a.csv", "text,stress", "joy,0", "love,0")
    metrics = measure("text", stress, text_model, task="stress")["metrics"]
    assert metrics["auc"] == {"value": None, "low": None, "high": None}
    assert metrics["f1"]["value"] is None
    emotion = a_table(tmp_path / "b.csv", "text,emotion", "joy,joy", "love,joy")
    assert measure("text", emotion, text_model)["metrics"]["uar"]["value"] is None


def test_affect_labels_are_moved_from_the_smallest_scale_that_holds_them(tmp_path: Path, text_model: Path) -> None:
    data = a_table(
        tmp_path / "d.csv", "text,valence,dominance", "joy,4,", "anger,2,3.2", "neutral,3,3.4", ",1,1", "joy,?,1"
    )
    report = measure("text", data, text_model, task="affect")
    assert report["options"]["scale"] == [1.0, 5.0]
    assert report["metrics"]["ccc_valence"]["value"] == pytest.approx(1.0)  # 4, 2, 3 of 1 to 5 are .5, -.5, 0
    assert report["metrics"]["pearson_dominance"]["value"] is None  # the model says the same of all texts
    assert report["metrics"]["coverage_90_valence"]["value"] == 1.0
    assert report["abstained"] == {"empty": 1}
    assert "ece" not in report["metrics"]
    assert report["bad_rows"]["first"] == [{"line": 6, "reason": "valence is not a number: '?'"}]
    assert predictions(data)[0]["label_dominance"] == ""


def test_labels_outside_the_given_scale_are_bad_and_unknown_scales_are_asked_for(
    tmp_path: Path, text_model: Path
) -> None:
    data = a_table(tmp_path / "d.csv", "text,valence", "joy,400", "anger,-400", "neutral,0")
    with pytest.raises(Invalid, match="--scale") as raised:
        measure("text", data, text_model, task="affect")
    assert raised.value.code == "scale_unknown"
    report = measure("text", data, text_model, task="affect", scale=(0.0, 800.0))
    assert (report["n"], report["bad_rows"]["count"]) == (2, 1)


def test_voice_says_no_dominance(tmp_path: Path, voice_model: Path) -> None:
    clip(tmp_path, "a.wav", "joy")
    with pytest.raises(Invalid, match="dominance") as raised:
        measure(
            "voice", a_table(tmp_path / "d.csv", "file,speaker,dominance", "a.wav,x,3"), voice_model, task="affect"
        )
    assert raised.value.code == "manifest_column_missing"
    both = a_table(tmp_path / "e.csv", "file,speaker,dominance,arousal", "a.wav,x,3,2")
    report = measure("voice", both, voice_model, task="affect")
    assert "pearson_arousal" in report["metrics"]
    assert "dominance" in report["notes"][-1]


def test_bad_clips_are_told_and_never_end_the_run(tmp_path: Path, voice_model: Path, capsys: Any) -> None:
    for name, emotion in (("a.wav", "anger"), ("b.wav", "joy")):
        clip(tmp_path, name, emotion)
    (tmp_path / "noise.wav").write_bytes(b"no audio at all")
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16_000)
    data = a_table(
        tmp_path / "d.csv",
        "file,speaker,emotion,trim_start_s,trim_end_s",
        "a.wav,x,anger,,",
        "gone.wav,x,anger,,",
        "noise.wav,x,anger,,",
        "b.wav,y,joy,0.05,0.2",
        "b.wav,y,joy,later,",
        "b.wav,y,joy,0.2,0.1",
        "b.wav,y,joy,9,",
        "b.wav,y,joy",
        "b.wav,y,joy,0.01,0.05",
        "silent.wav,y,joy,,",
    )
    report = measure("voice", data, voice_model)
    reasons = {row["line"]: row["reason"] for row in report["bad_rows"]["first"]}
    assert sorted(reasons) == [3, 4, 6, 7, 8, 9]
    assert "there is no file gone.wav" in reasons[3]
    assert "3 cells where there are 5 columns" in reasons[9]
    assert report["abstained"] == {"too_quiet": 1, "too_short": 1}
    assert report["metrics"]["uar"]["value"] == pytest.approx((1 + 1 / 3) / 2, abs=1e-6)
    assert "line 3: there is no file gone.wav" in capsys.readouterr().err


def test_abstentions_may_be_dropped(tmp_path: Path, voice_model: Path) -> None:
    clip(tmp_path, "a.wav", "anger")
    clip(tmp_path, "b.wav", "joy")
    clip(tmp_path, "short.wav", "joy", seconds=0.05)
    rows = ("a.wav,x,anger,1", "b.wav,y,joy,0", "short.wav,y,joy,0")
    data = a_table(tmp_path / "d.csv", "file,speaker,emotion,stress", *rows)
    assert measure("voice", data, voice_model)["metrics"]["uar"]["value"] == 0.75
    dropped = measure("voice", data, voice_model, abstain="drop")
    assert dropped["metrics"]["uar"]["value"] == 1.0
    assert dropped["metrics"]["coverage"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert dropped["confusion"]["joy"] == {"anger": 0, "joy": 1}
    assert measure("voice", data, voice_model, task="stress")["metrics"]["auc"]["value"] == 0.5
    assert measure("voice", data, voice_model, task="stress", abstain="drop")["metrics"]["auc"]["value"] == 1.0


def test_a_row_that_breaks_the_graph_or_gives_no_number_is_a_bad_row(tmp_path: Path, text_model: Path) -> None:
    data = a_table(tmp_path / "d.csv", "text,emotion", "joy,joy", "broken,joy", "anger,anger", "nan,joy")
    report = measure("text", data, text_model)  # all four share a batch, and the broken one alone is to blame
    assert [row["line"] for row in report["bad_rows"]["first"]] == [3, 5]
    assert report["n"] == 2


def test_with_no_row_to_score_the_exit_is_1(tmp_path: Path, text_model: Path, capsys: Any) -> None:
    data = a_table(tmp_path / "d.csv", "text,emotion", "joy,glee")
    options = RunOptions("text", data, model=text_model, out=tmp_path / "out")
    assert evaluate(options, session=lambda graph: FakeSession(TEXT_PORTS, read_text)) == 1
    assert "none of the rows" in capsys.readouterr().err
    assert not (tmp_path / "out" / "report.json").exists()


def test_without_a_file_the_exit_is_2(tmp_path: Path, capsys: Any) -> None:
    parser = argparse.ArgumentParser()
    configure(parser)
    args = parser.parse_args(["voice", "--data", str(tmp_path / "gone.csv")])
    assert args.run(args) == 2
    assert "[file_missing]" in capsys.readouterr().err


def test_interrupting_gives_one_line_and_no_trace(tmp_path: Path, text_model: Path, capsys: Any) -> None:
    def interrupted(graph: Path) -> Any:
        raise KeyboardInterrupt

    data = a_table(tmp_path / "d.csv", "text,emotion", "joy,joy")
    with pytest.raises(KeyboardInterrupt):
        evaluate(RunOptions("text", data, model=text_model, out=tmp_path / "out"), session=interrupted)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_missing_column_is_named_with_those_found(tmp_path: Path, text_model: Path) -> None:
    data = a_table(tmp_path / "d.csv", "id,words,emotion", "1,joy,joy")
    with pytest.raises(Invalid, match=r"lacks the column `text`; it has id, words, emotion") as raised:
        measure("text", data, text_model)
    assert raised.value.code == "manifest_column_missing"


@pytest.mark.parametrize(
    ("name", "content"),
    [("d.xlsx", b"PK"), ("d.csv", b""), ("d.csv", b"text,emotion\n\xff\xfe,joy\n"), ("d.csv.gz", b"no gzip")],
)
def test_what_is_no_table_is_refused(name: str, content: bytes, tmp_path: Path, text_model: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid) as raised:
        measure("text", tmp_path / name, text_model)
    assert raised.value.code == "manifest_unreadable"


def test_a_byte_order_mark_blank_lines_and_quoted_line_ends_are_understood(tmp_path: Path) -> None:
    data = a_table(tmp_path / "d.csv", "\ufeffText, Emotion ", "", '"one', 'two",joy', "three,anger")
    manifest = read_manifest(data, "text", "emotion", allowed=("joy", "anger"))
    assert [(row.line, row.text, row.labels) for row in manifest.rows] == [
        (3, "one\ntwo", ("joy",)),
        (5, "three", ("anger",)),
    ]


def test_a_quote_that_never_closes_is_told_instead_of_swallowing_rows(tmp_path: Path) -> None:
    data = a_table(tmp_path / "d.tsv", "text\temotion", '"never closed\tjoy', "two\tjoy", 'closed" here\tjoy')
    manifest = read_manifest(data, "text", "emotion", allowed=("joy",))
    assert not manifest.rows
    assert [row.line for row in manifest.bad] == [2]


def test_an_out_that_cant_be_written_is_refused_before_the_run(tmp_path: Path, text_model: Path) -> None:
    data = a_table(tmp_path / "d.csv", "text,emotion", "joy,joy")
    session = FakeSession(TEXT_PORTS, read_text)
    with pytest.raises((Invalid, Unavailable)) as raised:
        evaluate(RunOptions("text", data, model=text_model, out=data / "out"), session=lambda graph: session)
    assert raised.value.code == "out_unwritable"
    assert not session.rows


def test_a_model_of_the_other_kind_is_refused(tmp_path: Path, voice_model: Path) -> None:
    data = a_table(tmp_path / "d.csv", "text,emotion", "joy,joy")
    options = RunOptions("text", data, model=voice_model, out=tmp_path / "out")
    with pytest.raises(ModelInvalid, match="is not a text model"):
        evaluate(options, session=lambda graph: FakeSession(voice_ports(), read_voice))
    with pytest.raises(AssistantError) as raised:
        evaluate(RunOptions("text", data, model=tmp_path / "nowhere", out=tmp_path / "out"))
    assert raised.value.code == "model_missing"
    with pytest.raises(NotFound):
        evaluate(RunOptions("text", tmp_path / "none.csv"))


def test_a_voice_is_read_with_the_stem_beside_it_and_the_report_names_both(
    tmp_path: Path, voice_model: Path
) -> None:
    clip(tmp_path, "a.wav", "joy")
    data = a_table(tmp_path / "d.csv", "file,speaker,emotion", "a.wav,x,joy")
    told = measure("voice", data, voice_model)["model"]
    assert (told["name"], told["sha256"]) == ("voice", SHA256)
    assert (told["stem"]["name"], told["stem"]["sha256"]) == ("stem", SHA256)


def test_a_voice_without_a_stem_beside_it_takes_the_shipped_one_if_that_is_its_own(
    tmp_path: Path, voice_model: Path
) -> None:
    clip(tmp_path, "a.wav", "joy")
    data = a_table(tmp_path / "d.csv", "file,speaker,emotion", "a.wav,x,joy")
    shutil.rmtree(tmp_path / "stem")
    shipped = read_card(shipped_models() / "stem").sha256
    sessions = {"voice": FakeSession(voice_ports(), read_voice)}

    def session(graph: Path) -> Any:
        return sessions.get(graph.parent.name) or shared_session(graph)

    options = RunOptions("voice", data, model=voice_model, out=tmp_path / "out")
    with pytest.raises(ModelInvalid) as raised:
        evaluate(options, session=session)
    assert SHA256 in raised.value.message
    assert shipped in raised.value.message


def test_a_head_of_eight_classes_is_measured_though_it_could_not_be_served(
    tmp_path: Path, voice_model: Path
) -> None:
    clip(tmp_path, "a.wav", "joy")
    data = a_table(tmp_path / "d.csv", "file,speaker,emotion", "a.wav,x,joy", "a.wav,x,calm")
    labels = (*VOICES, "calm", "disgust", "fear", "surprise")
    shutil.rmtree(voice_model)
    center = f"population = {{center = {[0.0] * 9}}}"
    a_model(voice_model, labels, voice_ports(8), f"{BEHIND_STEM}\n{QUALITIES}\n{center}")
    emotions = [0.05, 0.65, *[0.05] * 6]
    relative = np.log(emotions) - np.log(emotions).mean()
    head = FakeSession(voice_ports(8), lambda row: {**read_voice(row), "emotions": emotions, "relative": relative})
    report = measure("voice", data, voice_model, head, baseline="online")
    assert set(report["per_class"]) == {"joy", "calm"}


def test_a_clip_that_is_not_fine_is_an_abstention_with_its_reason(tmp_path: Path, voice_model: Path) -> None:
    for name in ("anger", "joy", "neutral"):
        clip(tmp_path, f"{name}.wav", name)
    rows = [f"{name}.wav,x,{name}" for name in ("anger", "joy", "neutral")]
    data = a_table(tmp_path / "d.csv", "file,speaker,emotion", *rows)
    heard = {1: [0.4, 0.5, 0.1], 2: [0.5, 0.4, 0.1], 3: [0.3, 0.1, 0.6]}

    def answer(row: dict[str, Any]) -> dict[str, Any]:
        return {**read_voice(row), "quality": heard[round(float(row["states"].max()) * 10)]}

    for baseline in ("none", "speaker"):
        report = measure("voice", data, voice_model, FakeSession(voice_ports(), answer), baseline=baseline)
        assert report["abstained"] == {"not_speech": 1, "too_noisy": 1}
        assert report["metrics"]["coverage"]["value"] == pytest.approx(1 / 3, abs=1e-6)


def test_a_head_that_gives_no_number_costs_its_row_and_teaches_no_baseline(
    tmp_path: Path, voice_model: Path
) -> None:
    for name in ("anger", "joy"):
        clip(tmp_path, f"{name}.wav", name)
    data = a_table(tmp_path / "d.csv", "file,speaker,emotion", "anger.wav,x,anger", "joy.wav,x,joy")

    def answer(row: dict[str, Any]) -> dict[str, Any]:
        said = read_voice(row)
        return {**said, "relative": [float("nan")] * 4} if said["emotions"][0] == 0.7 else said

    report = measure("voice", data, voice_model, FakeSession(voice_ports(), answer), baseline="online")
    assert [row["line"] for row in report["bad_rows"]["first"]] == [2]
    assert "not numbers" in report["bad_rows"]["first"][0]["reason"]
    assert report["n"] == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("qualities", "kinds", "lacks a list of qualities"),
        ("fine_threshold", "threshold", "fine_threshold must be a number"),
        ("relative", "relation", "no output relative"),
        ("quality", "noise", "no output quality"),
    ],
)
def test_a_voice_whose_card_says_too_little_is_refused(
    old: str, new: str, said: str, tmp_path: Path, voice_model: Path
) -> None:
    clip(tmp_path, "a.wav", "joy")
    data = a_table(tmp_path / "d.csv", "file,speaker,emotion", "a.wav,x,joy")
    card = voice_model / "card.toml"
    card.write_text(card.read_text().replace(f"{old} =", f"{new} ="))
    ports = voice_ports()
    ports["outputs"] = {(new if name == old else name): shape for name, shape in ports["outputs"].items()}
    with pytest.raises(ModelInvalid, match=said):
        measure("voice", data, voice_model, FakeSession(ports, read_voice))


def test_texts_stay_out_of_the_predictions_unless_asked_for(tmp_path: Path, text_model: Path) -> None:
    data = a_table(tmp_path / "d.csv", "id,text,emotion", "k1,joy secret,joy", "k2,anger,anger")
    measure("text", data, text_model)
    written = (tmp_path / "out" / "predictions.csv").read_text() + (tmp_path / "out" / "report.json").read_text()
    assert "secret" not in written
    assert predictions(data)[0]["id"] == "k1"
    measure("text", data, text_model, with_text=True)
    assert predictions(data)[0]["text"] == "joy secret"


def test_small_groups_are_insufficient_evidence(tmp_path: Path, text_model: Path) -> None:
    rows = [f"{name},{name},big" for name in ("joy", "anger") * 15] + ["joy,joy,small"]
    report = measure("text", a_table(tmp_path / "d.csv", "text,emotion,group", *rows), text_model)
    assert report["groups"]["big"]["n"] == 30
    assert report["groups"]["big"]["metrics"]["uar"]["value"] == 1.0
    assert report["groups"]["small"] == {"column": "group", "n": 1, "metrics": {}, "note": "insufficient evidence"}


def test_intervals_resample_speakers_and_need_two_of_them(tmp_path: Path, text_model: Path) -> None:
    rows = [f"{said},joy,{who}" for who in "ab" for said in ("joy", "anger")] + ["anger,anger,a"]
    two = measure("text", a_table(tmp_path / "a.csv", "text,emotion,speaker", *rows), text_model)
    assert two["clusters"] == 2
    assert two["metrics"]["uar"]["low"] is not None
    one = measure("text", a_table(tmp_path / "b.csv", "text,emotion,speaker", *rows[:2], rows[-1]), text_model)
    assert one["metrics"]["uar"]["low"] is None


def test_two_runs_give_the_same_report_apart_from_the_time(tmp_path: Path, text_model: Path) -> None:
    data = a_table(
        tmp_path / "d.csv", "text,emotion", *(f"{name},joy" for name in ("joy", "anger") * 9), "anger,anger"
    )
    first, again = (measure("text", data, text_model) for _ in range(2))
    times: dict[str, Any] = {"seconds": 0, "cost": {}}
    for report in (first, again):
        report["provenance"]["when"] = ""
    assert first | times == again | times


def heard(folder: Path, model: Path, baseline: str) -> list[float]:
    """Probability of anger for four clips of one speaker, who sounds angry most of the time."""
    for emotion in ("anger", "joy"):
        clip(folder, f"{emotion}.wav", emotion)
    rows = [f"{name}.wav,x,{name}" for name in ("anger", "anger", "joy", "anger")]
    data = a_table(folder / "d.csv", "file,speaker,emotion", *rows)
    measure("voice", data, model, baseline=baseline)
    return [float(row["p_anger"]) for row in predictions(data)]


def test_an_online_baseline_knows_only_what_came_before(tmp_path: Path, voice_model: Path) -> None:
    none, online, speaker = (heard(tmp_path, voice_model, mode) for mode in ("none", "online", "speaker"))
    assert online[0] == none[0]  # nothing was known yet
    assert online[1] < none[1]
    assert online[3] < none[3]
    assert speaker[0] == speaker[1] == speaker[3] < none[0]


def test_a_habit_is_the_served_baseline_at_any_length() -> None:
    seen = [(0.5, -1.0, 2.0), (1.5, 0.0, 1.0)]
    served = update_baseline(update_baseline(NO_BASELINE, seen[0]), seen[1])
    habit, longer = Habit(), Habit()
    for observation in seen:
        habit.learn(observation)
        longer.learn(observation * 3)  # nine numbers, more than a baseline keeps
    known = usual_from(served, (0.1, 0.2, 0.3))
    assert known is not None
    assert habit.usual((0.1, 0.2, 0.3)) == known
    assert longer.usual((0.1, 0.2, 0.3) * 3) == Usual(known.shift * 3, known.trust)
    assert Habit().usual((0.1,)) is None


def test_a_baseline_needs_a_population_and_speakers(tmp_path: Path, voice_model: Path) -> None:
    clip(tmp_path, "joy.wav", "joy")
    data = a_table(tmp_path / "d.csv", "file,speaker,emotion", "joy.wav,x,joy", "joy.wav,,joy")
    report = measure("voice", data, voice_model, baseline="online")
    assert report["bad_rows"]["first"] == [{"line": 3, "reason": "no speaker, and a baseline or --fit needs one"}]
    card = voice_model / "card.toml"
    card.write_text(card.read_text().replace("population", "crowd"))
    with pytest.raises(Invalid) as raised:
        measure("voice", data, voice_model, baseline="online")
    assert raised.value.code == "baseline_unsupported"
    assert subtract_baselines([], "none", ()) == []


def test_options_that_make_no_sense_are_refused(tmp_path: Path, capsys: Any) -> None:
    parser = argparse.ArgumentParser()
    configure(parser)
    for wrong in (["--scale=5,1"], ["--scale=a,b"], ["--bootstrap=-1"], ["--task=labels"]):
        with pytest.raises(SystemExit):
            parser.parse_args(["voice", "--data", "d.csv", *wrong])
    assert parser.parse_args(["text", "--data", "d.csv", "--scale=-3,3"]).scale == (-3.0, 3.0)
    with pytest.raises(SystemExit):
        parser.parse_args(["voice", "--help"])
    assert "closed set" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [["voice", "--fit", "head"], ["recommend"]])
def test_fitting_without_scipy_is_refused_at_once_with_the_extra_that_brings_it(
    tmp_path: Path, asked: list[str]
) -> None:
    blocked = (
        "import sys; sys.modules['scipy'] = None; from assistant.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", blocked, "evaluate", *asked, "--data", str(tmp_path)]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "pip install 'attune[research]'" in done.stderr
    assert "[extra_missing]" in done.stderr
    assert not (tmp_path / "out").exists()
