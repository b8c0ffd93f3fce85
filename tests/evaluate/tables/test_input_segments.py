"""Rows about a part or a channel of a file, and files that are named as another system writes them."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile

from assistant.errors import Invalid
from assistant.evaluate.leakage.check import read_against
from assistant.evaluate.tables.form import TableForm
from assistant.evaluate.tables.manifest import Manifest, read_manifest
from assistant.evaluate.tables.rows import Row, read_clip

RATE = 16_000


def steps(file: Path, seconds: int = 4, channels: int = 1) -> Path:
    """Every second is a tenth louder than the one before; a second channel is its negative, half as loud."""
    file.parent.mkdir(parents=True, exist_ok=True)
    loud = np.repeat(np.arange(1, seconds + 1) / 10, RATE)
    soundfile.write(file, np.stack([loud, -loud / 2][:channels], axis=1), RATE, subtype="FLOAT")
    return file


def read(folder: Path, header: str, *rows: str, **options: Any) -> Manifest:
    """Rows with `anger` at their end; options are those of a form, or of `read_manifest`."""
    table = folder / "d.csv"
    table.write_text("\n".join([f"{header},speaker,emotion", *(f"{row},anna,anger" for row in rows)]) + "\n")
    form = TableForm(**{name: options.pop(name) for name in list(options) if hasattr(TableForm(), name)})
    return read_manifest(table, "voice", "emotion", allowed=("anger",), form=form, **options)


def level(row: Row) -> float:
    return float(np.median(read_clip(row)))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("file,start,end", "a.wav,1,2"),
        ("file,start,end", "a.wav,0 days 00:00:01,0 days 00:00:02"),
        ("file,start,end", "a.wav,0 days 00:00:01.000000,0 days 00:00:01.999999"),
        ("file,start,end", "a.wav,00:00:01.000,00:00:02.000"),
        ("file,start,end", 'a.wav,"1,0","2,0"'),
        ("file,start,end", "a.wav,PT1S,PT2S"),
        ("file,start,end", "a.wav,0:01,0:02"),
        ("file,start,end", "a.wav,1s,2000 ms"),
        ("file,Start_Time,End_Time", 'a.wav,"00:00:01,000","00:00:02,000"'),
        ("file,StartTime (s),EndTime (s)", "a.wav,1.0,2.0"),
        ("file,start_ms,end_ms", "a.wav,1000,2000"),
        ("file,onset,offset", "a.wav,1,2"),
        ("file,onset,duration", "a.wav,1,1"),
        ("file,offset,duration", "a.wav,1,1"),
        ("file,begin,end", "a.wav,1,2"),
        ("file,tmin,tmax", "a.wav,1,2"),
        ("file,segment_start,segment_end", "a.wav,1,2"),
        ("file,start,duration_ms", "a.wav,1,1000"),
        ("file,start,end,duration", "a.wav,1,2,1"),
        ("file,trim_start_s,trim_end_s", "a.wav,1,2"),
    ],
)
def test_a_row_is_the_part_of_its_file_that_its_columns_tell(header: str, row: str, tmp_path: Path) -> None:
    steps(tmp_path / "a.wav")
    manifest = read(tmp_path, header, row)
    assert not manifest.bad
    (found,) = manifest.rows
    assert (found.start_s, found.end_s) == pytest.approx((1, 2), abs=1e-5)
    assert level(found) == pytest.approx(0.2)
    assert any("part of its file" in note and "not used" not in note for note in manifest.notes)
    assert not any("not used" in note for note in manifest.notes)


@pytest.mark.parametrize("end", ["", "NaT", "nan", "NaN", "None", "<NA>"])
def test_an_empty_end_is_the_end_of_the_file(end: str, tmp_path: Path) -> None:
    steps(tmp_path / "a.wav")
    (row,) = read(tmp_path, "file,start,end", f"a.wav,0 days 00:00:03,{end}").rows
    assert (row.start_s, row.end_s) == (3, None)
    assert level(row) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.wav,2,1", "the part is empty"),
        ("a.wav,-1,1", "begins before the file"),
        ("a.wav,soon,1", "start: not a time: 'soon'"),
        ("a.wav,1,inf", "end: not a time"),
        ('a.wav,0,"1,500"', "--decimal"),
    ],
)
def test_what_is_no_part_is_told(row: str, said: str, tmp_path: Path) -> None:
    steps(tmp_path / "a.wav")
    (bad,) = read(tmp_path, "file,start,end", row).bad
    assert said in bad.reason


def test_a_part_outside_its_file_is_told_and_the_way_out(tmp_path: Path) -> None:
    steps(tmp_path / "a.wav")
    rows = read(tmp_path, "file,start,end", "a.wav,3,4.05", "a.wav,3,5", "a.wav,5,6", "a.wav,1000,2000").rows
    assert len(read_clip(rows[0])) == RATE  # times are rounded
    for row in rows[1:]:
        with pytest.raises(Invalid, match="--whole-files") as raised:
            read_clip(row)
        assert raised.value.code == "segment_outside"
    named = read(tmp_path, "file,start,end", "a.wav,1000,2000", columns={"start_ms": "start", "end_ms": "end"})
    assert level(named.rows[0]) == pytest.approx(0.2)
    (whole,) = read(tmp_path, "file,start,end", "a.wav,5,6", whole_files=True).rows
    assert len(read_clip(whole)) == 4 * RATE


@pytest.mark.parametrize(
    ("header", "row", "unused"),
    [("file,duration", "a.wav,4.0", "`duration`"), ("file,start_frame,end_frame", "a.wav,9,99", "`end_frame`")],
)
def test_a_column_that_looks_like_a_part_and_is_not_used_is_named(
    header: str, row: str, unused: str, tmp_path: Path
) -> None:
    steps(tmp_path / "a.wav")
    manifest = read(tmp_path, header, row)
    assert (manifest.rows[0].start_s, manifest.rows[0].end_s) == (0, None)
    assert any(unused in note and "is not used" in note for note in manifest.notes)


def test_two_columns_for_one_start_are_refused(tmp_path: Path) -> None:
    steps(tmp_path / "a.wav")
    with pytest.raises(Invalid, match="start, begin_ms") as raised:
        read(tmp_path, "file,start,begin_ms", "a.wav,1,2000")
    assert raised.value.code == "columns_invalid"
    named = read(tmp_path, "file,start,begin_ms", "a.wav,1,2000", columns={"trim_start_ms": "begin_ms"})
    assert named.rows[0].start_s == 2


def test_parts_of_training_data_are_parts_too(tmp_path: Path) -> None:
    steps(tmp_path / "a.wav")
    (tmp_path / "t.csv").write_text("file,start,end\na.wav,1,2\n")
    assert read_against(tmp_path / "t.csv", "voice", {})[0].end_s == 2


@pytest.mark.parametrize(
    ("written", "option", "heard"),
    [("", 1, 0.1), ("", 2, -0.05), ("right", 1, -0.05), ("2", None, -0.05), ("1.0", None, 0.1), ("mix", 2, 0.025),
     ("A", None, 0.1), ("", None, 0.025)],
)  # fmt: skip
def test_a_row_or_an_option_chooses_the_channel(
    written: str, option: int | None, heard: float, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile([0.1, -0.05], (RATE, 1)) + 0.0, RATE, subtype="FLOAT")
    (row,) = read(tmp_path, "file,channel", f"a.wav,{written}", channel=option).rows
    if (written, option) in (("mix", 2), ("", None)):  # a fifth of the energy is left: not far below
        assert row.channel is None
    assert level(row) == pytest.approx(heard)


def test_channels_that_are_none_are_told(tmp_path: Path) -> None:
    steps(tmp_path / "a.wav", channels=2)
    (bad,) = read(tmp_path, "file,channel", "a.wav,telephone").bad
    assert "'telephone'" in bad.reason
    assert "--columns medium=channel" in bad.reason
    with pytest.raises(Invalid, match="counted from 1"):
        read(tmp_path, "file,channel", "a.wav,1", "a.wav,0")
    with pytest.raises(Invalid, match="channel 3 was asked for"):
        read_clip(read(tmp_path, "file,channel", "a.wav,3").rows[0])


COMPOSED = unicodedata.normalize("NFC", "ténor/Größe 한국.wav")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.parametrize(("there", "named"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
@pytest.mark.parametrize("absolute", [False, True])
def test_names_in_another_unicode_form_are_found(there: str, named: str, absolute: bool, tmp_path: Path) -> None:
    file = steps(tmp_path / there)
    name = str(tmp_path / named) if absolute else named
    (row,) = read(tmp_path, "file", name).rows
    assert cast(Path, row.file).samefile(file)
    assert row.name == name


@pytest.mark.parametrize(
    "named", [r"wavs\a.wav", r".\wavs\a.wav", "./wavs/a.wav", "wavs//a.wav", r"wavs\..\wavs/a.wav"]
)
def test_backslashes_separate_folders_where_no_file_has_them_in_its_name(named: str, tmp_path: Path) -> None:
    file = steps(tmp_path / "wavs" / "a.wav")
    assert cast(Path, read(tmp_path, "file", named).rows[0].file).samefile(file)
    if "\\" in named and "/" not in named:
        own = steps(tmp_path / named)  # the name as it stands goes first
        assert cast(Path, read(tmp_path, "file", named).rows[0].file).samefile(own)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (r"C:\Users\me\a.wav", "a path of Windows"),
        (r"\\server\share\a.wav", "a path of Windows"),
        ("wavs/A.WAV", "but a.wav: upper and lower case must be the same"),
        (r"Wavs\a.wav", "upper and lower case"),
        ("wavs/b.wav", "there is no file wavs/b.wav"),
        ("x" * 300 + ".wav", "can't be a file"),
    ],
)
def test_what_is_not_there_is_told(named: str, said: str, tmp_path: Path) -> None:
    steps(tmp_path / "wavs" / "a.wav")
    (bad,) = read(tmp_path, "file", named).bad
    assert said in bad.reason


def test_two_files_that_differ_in_form_alone_are_told_apart_or_refused(tmp_path: Path) -> None:
    one, other = "e\u0301\u1100\u1161", "\u00e9\uac00"  # the same letters, decomposed and composed
    steps(tmp_path / f"{one}.wav")
    steps(tmp_path / f"{other}.wav")
    if len(list(tmp_path.glob("*.wav"))) < 2:
        pytest.skip("this file system knows no forms")
    found = read(tmp_path, "file", f"{one}.wav", f"{other}.wav", "e\u0301\uac00.wav")
    assert [row.file and row.file.stem for row in found.rows] == [one, other]
    assert "differ" in found.bad[0].reason
