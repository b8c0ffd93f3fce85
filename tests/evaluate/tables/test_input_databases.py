"""audformat databases are read as the audformat library reads them, and EmoBox's lists as EmoBox writes them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import audformat
import audformat.testing
import numpy as np
import pandas as pd
import pytest
import soundfile

from assistant.errors import Invalid, NotFound
from assistant.evaluate.tables.audformat import open_database
from assistant.evaluate.tables.manifest import Manifest, open_table, read_manifest

CLASSES = ("anger", "joy", "neutral")


def clip(file: Path, seconds: float = 0.5) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.full(int(seconds * 16_000), 0.1), 16_000)


def a_database(folder: Path, storage: str = "csv") -> Path:
    """Emotions in two splits, segments with affect, and who speaks in another table, with what is known of them."""
    db = audformat.Database("test")
    db.schemes["emotion"] = audformat.Scheme(labels=["anger", "happiness"])
    db.schemes["arousal"] = audformat.Scheme("float", minimum=0, maximum=1)
    index = pd.Index(["x", "y"], name="speaker", dtype="string")
    db["people"] = audformat.MiscTable(index)
    db["people"]["gender"] = audformat.Column()
    db["people"]["gender"].set(["female", "male"])
    db.schemes["speaker"] = audformat.Scheme("str", labels="people")
    db.schemes["language"] = audformat.Scheme(labels={"de": {"family": "germanic"}, "fi": {"family": "uralic"}})
    db.splits["test"] = audformat.Split("test")
    files = ["audio/a.wav", "audio/b.wav", "audio/c.wav"]
    for name in files:
        clip(folder / name)
    db["emotion.test"] = audformat.Table(audformat.filewise_index(files[:2]), split_id="test")
    db["emotion.train"] = audformat.Table(audformat.filewise_index(files[2:]))
    for table, values in (("emotion.test", ["anger", "happiness"]), ("emotion.train", ["anger"])):
        db[table]["emotion"] = audformat.Column(scheme_id="emotion")
        db[table]["emotion"].set(values)
    db["files"] = audformat.Table(audformat.filewise_index(files))
    db["files"]["speaker"] = audformat.Column(scheme_id="speaker")
    db["files"]["speaker"].set(["x", "y", "x"])
    db["files"]["language"] = audformat.Column(scheme_id="language")
    db["files"]["language"].set(["de", "fi", None])
    segments = audformat.segmented_index([files[0], files[0], files[1]], [0.05, 0.2, 0], [0.15, 0.45, pd.NaT])
    db["segments"] = audformat.Table(segments)
    db["segments"]["arousal"] = audformat.Column(scheme_id="arousal")
    db["segments"]["arousal"].set([0.25, 0.75, None])
    db.save(str(folder), storage_format=storage)
    return folder


def read(folder: Path, task: Any = "emotion", allowed: tuple[str, ...] = CLASSES, **options: Any) -> Manifest:
    return read_manifest(folder, "voice", task, allowed=allowed, **options)


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_a_table_brings_the_speaker_of_another_table_and_what_is_known_of_the_speaker(
    storage: str, tmp_path: Path
) -> None:
    folder = a_database(tmp_path / "db", storage)
    manifest = read(folder, table="emotion.test", label_map={"happiness": "joy"}, more=["language", "family"])
    told = [(row.name, row.labels, row.speaker, row.gender, *row.more.values()) for row in manifest.rows]
    assert told == [
        ("audio/a.wav", ("anger",), "x", "female", "de", "germanic"),
        ("audio/b.wav", ("joy",), "y", "male", "fi", "uralic"),
    ]
    assert manifest.rows[0].file == folder / "audio" / "a.wav"
    assert manifest.sources == (folder / "db.yaml", folder / f"db.emotion.test.{storage}")


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_segments_are_parts_of_their_files(storage: str, tmp_path: Path) -> None:
    folder = a_database(tmp_path / "db", storage)
    manifest = read(folder / "db.yaml", "affect", ("valence", "arousal"))  # only one table has any of these
    told = [(row.start_s, row.end_s, dict(row.affect), row.speaker) for row in manifest.rows]
    assert told == [(0.05, 0.15, {"arousal": 0.25}, "x"), (0.2, 0.45, {"arousal": 0.75}, "x")]
    assert [bad.reason for bad in manifest.bad] == ["no label"]


def test_where_several_tables_fit_one_must_be_said(tmp_path: Path) -> None:
    folder = a_database(tmp_path / "db")
    with pytest.raises(Invalid, match=r"emotion.test \(split test\), emotion.train") as raised:
        read(folder)
    assert raised.value.code == "table_unclear"
    with pytest.raises(Invalid, match=r"has no table gone; it has emotion\.test"):
        read(folder, table="gone")
    with pytest.raises(Invalid, match=r"no table of .* has a column stress"):
        read(folder, "stress", ("0", "1"))


def test_a_column_may_have_another_name_or_its_schemes(tmp_path: Path) -> None:
    folder = a_database(tmp_path / "db")
    header = folder / "db.yaml"
    header.write_text(header.read_text().replace("emotion: {scheme_id: emotion}", "felt: {scheme_id: emotion}"))
    for file in folder.glob("db.emotion.*.csv"):
        file.write_text(file.read_text().replace("file,emotion", "file,felt"))
    assert read(folder, table="emotion.train").rows[0].labels == ("anger",)
    mapped = read(folder, table="emotion.train", columns={"emotion": "felt", "group": "language"})
    assert mapped.rows[0].labels == ("anger",)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    folder = a_database(tmp_path / "db")

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    (folder / "db.emotion.train.csv").unlink()
    (folder / "db.emotion.train.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(Invalid) as raised:
        read(folder, table="emotion.train")
    assert raised.value.code == "table_pickled"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("a: [", "manifest_unreadable"),
        ("a: 1", "manifest_unreadable"),
        ("tables: {t: {columns: {emotion: {}}}}", "file_missing"),
        ("!!python/object/apply:os.system ['true']", "manifest_unreadable"),
    ],
)
def test_what_is_no_database_is_refused(content: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "db.yaml").write_text(content)
    with pytest.raises((Invalid, NotFound)) as raised:
        read(tmp_path)
    assert raised.value.code == code
    (tmp_path / "db.yaml").unlink()
    with pytest.raises(NotFound):
        read(tmp_path)


def plainly(value: Any) -> str:
    """A value of a data frame as a cell."""
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return ""
    if isinstance(value, pd.Timedelta):
        return repr(value.total_seconds())
    return str(value)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # audformat's own, of pandas
@pytest.mark.parametrize("storage", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["files", "segments"])
def test_the_library_reads_the_same_cells(storage: str, name: str, tmp_path: Path) -> None:
    made = audformat.testing.create_db()
    made.save(str(tmp_path), storage_format=storage)
    frame = audformat.Database.load(str(tmp_path))[name].df.reset_index()
    columns = [c for c in frame.columns if c not in ("bool", "date", "time", "float")]
    table = open_database(tmp_path, name, ["label"])
    ours = [[cells[c] for c in columns] for _, cells in table.rows() if not isinstance(cells, str)]
    theirs = [[plainly(value) for value in row] for row in frame[columns].itertuples(index=False)]
    assert len(ours) == len(frame)
    for mine, other in zip(ours, theirs, strict=True):
        for column, a, b in zip(columns, mine, other, strict=True):
            assert float(a) == pytest.approx(float(b), abs=1e-6) if column in ("start", "end") and b else a == b


def emobox(folder: Path) -> Path:
    """A list as EmoBox writes it: paths from the root, three folders up."""
    listed = folder / "data" / "cafe" / "fold_1" / "cafe_test_fold_1.jsonl"
    listed.parent.mkdir(parents=True)
    lines = []
    for key, emotion in (("cafe-08-P-2-1", "p"), ("cafe-09-J-1-1", "j")):
        wav = f"downloads/cafe/{key}.wav"
        clip(folder / wav)
        lines.append({"key": key, "dataset": "cafe", "wav": wav, "type": "raw", "sample_rate": 48000,
            "num_frame": 168833.0, "task": "category", "length": 0.5, "emo": emotion, "channel": 1})  # fmt: skip
    lines[1] |= {"start_time": 0.1, "end_time": 0.4}
    listed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return listed


def test_a_list_of_emobox_is_read_as_it_is(tmp_path: Path) -> None:
    listed = emobox(tmp_path)
    manifest = read(listed, label_map={"p": "anger", "j": "joy"}, more=["corpus"])
    told = [(row.file, row.labels, row.start_s, row.end_s, row.more["corpus"]) for row in manifest.rows]
    assert told == [
        (tmp_path / "downloads/cafe/cafe-08-P-2-1.wav", ("anger",), 0.0, None, "cafe"),
        (tmp_path / "downloads/cafe/cafe-09-J-1-1.wav", ("joy",), 0.1, 0.4, "cafe"),
    ]
    part, speakers = manifest.notes
    assert "`start_time` and `end_time`" in part
    assert "no speakers are named" in speakers


def test_a_pattern_takes_the_speaker_that_emobox_leaves_out(tmp_path: Path) -> None:
    listed = emobox(tmp_path)
    manifest = read(
        listed, label_map={"p": "anger", "j": "joy"}, columns={"speaker": r"key:-(\d+)-"}, need_speaker=True
    )
    assert [row.speaker for row in manifest.rows] == ["08", "09"]
    assert not any("speakers" in note for note in manifest.notes)
    with pytest.raises(Invalid, match="`speaker`"):
        read(listed, need_speaker=True)


def test_emoboxs_lists_by_key_are_read_too(tmp_path: Path) -> None:
    listed = emobox(tmp_path)
    by_key = {one["key"]: {k: one[k] for k in ("wav", "length", "emo", "dataset", "channel")}
              for one in map(json.loads, listed.read_text().splitlines())}  # fmt: skip
    listed.with_suffix(".json").write_text(json.dumps(by_key))
    table = open_table(listed.with_suffix(".json"))
    cells = [cells for _, cells in table.rows()]
    assert [c["id"] for c in cells if not isinstance(c, str)] == ["cafe-08-P-2-1", "cafe-09-J-1-1"]
