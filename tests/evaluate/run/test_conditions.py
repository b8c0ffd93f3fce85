"""Worse conditions: each disturbance does what physics says, and a run under it pairs with the clean one."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.audio.pcm import Samples
from assistant.errors import AssistantError, Invalid
from assistant.evaluate.command import RunOptions, evaluate
from assistant.evaluate.figures import measures
from assistant.evaluate.figures.tasks import Sheet
from assistant.evaluate.report.robustness import compute_losses, match_rows
from assistant.evaluate.run import disturbance
from assistant.evaluate.run.conditions import AudioCondition, parse_conditions, prepare_condition
from assistant.evaluate.tables.manifest import Row
from tests.evaluate.graphs import MAP, loudness_graph, saved, voice_card

RATE = 16_000
RANDOM = np.random.default_rng(7)


def speechlike(seconds: float = 2.0, seed: int = 3) -> Samples:
    """Noise in syllables with pauses between them, most of it below 4 kHz."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    loud = np.maximum(0, np.sin(2 * np.pi * 3 * np.arange(count) / RATE)) ** 2
    carrier = disturbance.make_pink_noise(count, random)
    return np.asarray(0.3 * loud * carrier / np.abs(carrier).max(), np.float32)


def tone(hertz: float, seconds: float = 1.0, level: float = 0.3) -> Samples:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def db(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-30)))


def power(samples: Any) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


def spectrum_db(samples: Samples, low: float, high: float) -> float:
    """Level of a band beside the whole."""
    found = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return db(found[(hertz >= low) & (hertz <= high)].sum() / found.sum())


@settings(max_examples=30, deadline=None)
@given(decibels=st.floats(-10, 40), seconds=st.floats(0.3, 3), seed=st.integers(0, 99))
def test_noise_reaches_the_ratio_it_was_asked_for(decibels: float, seconds: float, seed: int) -> None:
    speech = speechlike(seconds, seed)
    noise = disturbance.make_pink_noise(len(speech), np.random.default_rng(seed))
    added = disturbance.add_noise(speech, noise, decibels) - speech
    assert db(disturbance.measure_active_power(speech)) - db(power(added)) == pytest.approx(decibels, abs=0.1)


def test_pauses_do_not_count_as_speech() -> None:
    speech = tone(440)
    silence = np.zeros(3 * RATE, dtype=np.float32)
    assert disturbance.measure_active_power(np.concatenate([silence, speech, silence])) == pytest.approx(
        power(speech), rel=0.01
    )


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    noise = disturbance.make_pink_noise(20 * RATE, np.random.default_rng(1))
    levels = [spectrum_db(noise, low, 2 * low) for low in (125, 250, 500, 1000, 2000, 4000)]
    assert np.ptp(levels) < 0.5  # every octave is equally loud


def test_a_telephone_passes_speech_and_nothing_outside_its_band() -> None:
    passed = {
        hertz: power(disturbance.apply_telephone(tone(hertz))) / power(tone(hertz)) for hertz in (500, 1000, 3000)
    }
    assert all(abs(db(share)) < 0.3 for share in passed.values())
    for hertz in (60, 150, 3700, 5000):
        assert db(power(disturbance.apply_telephone(tone(hertz))) / power(tone(hertz))) < -35, (
            hertz
        )  # codec noise is left
    for edge in disturbance.TELEPHONE_BAND:
        heard = disturbance.apply_telephone(tone(edge, 2.0))[RATE // 2 : -RATE // 2]
        assert db(power(heard) / power(tone(edge))) == pytest.approx(-6, abs=0.7)
    white = np.random.default_rng(2).normal(0, 0.1, 4 * RATE).astype(np.float32)
    assert spectrum_db(disturbance.apply_telephone(white), 4100, 8000) < -50


def test_mu_law_is_that_of_the_standard() -> None:
    def coded(samples: Samples) -> Samples:
        """What FFmpeg's coder makes of the same band-limited signal."""
        narrow = soxr.resample(samples, RATE, 8000)
        banded = disturbance.convolve(narrow, disturbance._BAND)[len(disturbance._BAND) // 2 :][: len(narrow)]
        pcm = np.clip(np.round(banded * 32768), -32768, 32767).astype(np.int16)
        coder, decoder = av.CodecContext.create("pcm_mulaw", "w"), av.CodecContext.create("pcm_mulaw", "r")
        for context in (coder, decoder):
            context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = 8000
        packets = [*coder.encode(frame), *coder.encode(None)]
        frames = [f for packet in packets for f in decoder.decode(av.Packet(bytes(packet)))]
        whole = np.concatenate([f.to_ndarray().ravel() for f in frames]) / 32768
        return np.asarray(soxr.resample(whole, 8000, RATE), dtype=np.float32)

    speech = speechlike()
    theirs, ours = coded(speech), disturbance.apply_telephone(speech)
    assert db(power(ours - theirs) / power(theirs)) < -40  # two roundings of the same code apart


@pytest.mark.parametrize("kbit_s", [8, 16, 24])
def test_opus_keeps_its_rate_its_time_and_most_of_the_voice(kbit_s: int) -> None:
    def rate(samples: Samples) -> float:
        _, packets = disturbance.encode_opus(samples, kbit_s)
        return 8 * sum(map(len, packets)) / (len(packets) * 0.02) / 1000

    speech = speechlike(4.0)
    humming = 0.3 * tone(300, 4.0) + disturbance.make_pink_noise(4 * RATE, RANDOM) / 30
    assert rate(humming.astype(np.float32)) == pytest.approx(kbit_s, rel=0.2)
    assert rate(speech) < 1.2 * kbit_s  # pauses take less
    heard = disturbance.apply_opus(speech, kbit_s)
    assert len(heard) == len(speech)
    at = [float(np.dot(heard[1000 + late : 60_000 + late], speech[1000:60_000])) for late in range(-300, 301)]
    assert abs(int(np.argmax(at)) - 300) <= 1  # no delay
    assert not np.array_equal(heard, speech)


def test_more_bits_keep_more_of_the_voice() -> None:
    speech = tone(440, 2.0) + tone(1500, 2.0, 0.1)
    errors = [
        power(disturbance.apply_opus(speech, kbit_s)[3200:-3200] - speech[3200:-3200]) for kbit_s in (6, 16, 64)
    ]
    assert errors[0] > errors[1] > errors[2]


@given(percent=st.floats(0.1, 90))
@settings(max_examples=30, deadline=None)
def test_clipping_leaves_that_share_of_the_samples_at_the_top(percent: float) -> None:
    speech = speechlike()
    heard = disturbance.clip_peaks(speech, percent)
    top = np.abs(heard).max()
    assert np.mean(np.abs(heard[speech != 0]) >= top) == pytest.approx(percent / 100, abs=0.001)
    untouched = np.abs(speech) < top
    assert np.array_equal(heard[untouched], speech[untouched])


def test_gain_moves_the_level_and_saturates_at_full_scale() -> None:
    speech = tone(440, level=0.05)
    assert db(power(disturbance.amplify(speech, 20)) / power(speech)) == pytest.approx(20, abs=0.05)
    assert db(power(disturbance.amplify(speech, -20)) / power(speech)) == pytest.approx(-20, abs=0.05)
    loud = disturbance.amplify(tone(440), 20)
    assert loud.max() == pytest.approx(32767 / 32768)
    assert loud.min() == -1.0
    assert not disturbance.amplify(tone(440), -100).any()  # less than the smallest step of 16 bits


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.2])
def test_a_room_decays_by_sixty_decibels_in_its_time(seconds: float) -> None:
    """By Schroeder's backward integration (1965), fitted from 5 to 35 dB down, as in ISO 3382."""
    response = disturbance.make_room(seconds, np.random.default_rng(0)).astype(np.float64)
    assert power(response[1:]) * (len(response) - 1) == pytest.approx(1.0, rel=1e-3)  # as loud as the direct sound
    late = response[1:]
    left = 10 * np.log10(np.cumsum(late[::-1] ** 2)[::-1] / np.sum(late**2))
    part = np.flatnonzero((left <= -5) & (left >= -35))
    slope, _ = np.polyfit(part / RATE, left[part], 1)
    assert -60 / slope == pytest.approx(seconds, rel=0.05)


def test_a_room_keeps_the_level_the_length_and_the_time_of_a_clip() -> None:
    speech = speechlike()
    late = np.concatenate([np.zeros(800, np.float32), disturbance.make_room(0.5, np.random.default_rng(0))])
    heard = disturbance.apply_room(speech, late)
    assert len(heard) == len(speech)
    assert power(heard) == pytest.approx(power(speech), rel=1e-4)
    at = [float(np.dot(heard[late : 20_000 + late], speech[:20_000])) for late in range(1000)]
    assert int(np.argmax(at)) == 0


def test_the_convolution_is_the_convolution() -> None:
    a, b = RANDOM.normal(size=700), RANDOM.normal(size=90)
    assert np.allclose(disturbance.convolve(a, b), np.convolve(a, b))


# What can be asked for


def test_all_is_every_kind_of_condition() -> None:
    found = parse_conditions(["all"])
    assert [c.name for c in found] == [
        "noise_20dB", "noise_10dB", "noise_0dB", "telephone", "opus_16kbit", "clip_10pct", "gain_-20dB",
        "gain_20dB", "reverb_0.5s",
    ]  # fmt: skip
    assert parse_conditions(["all", "opus:16", "clip"]) == found


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    odd = tmp_path / "a@b:c,d"
    odd.mkdir()
    assert parse_conditions([f"noise:{odd}@20,-5"]) == (
        AudioCondition("noise", 20.0, odd),
        AudioCondition("noise", -5.0, odd),
    )
    assert parse_conditions([f"reverb:{odd}"]) == (AudioCondition("reverb", None, odd),)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("echo", "condition_invalid"),
        ("noise", "condition_invalid"),
        ("noise:here", "condition_invalid"),
        ("noise@loud", "condition_invalid"),
        ("noise@nan", "condition_invalid"),
        ("noise@999", "condition_invalid"),
        ("telephone:8", "condition_invalid"),
        ("opus:900", "condition_invalid"),
        ("clip:0", "condition_invalid"),
        ("gain", "condition_invalid"),
        ("gain:", "condition_invalid"),
        ("noise:/nowhere/at/all@10", "folder_missing"),
        ("reverb:/nowhere/at/all", "folder_missing"),
    ],
)
def test_what_can_not_be_done_is_said_before_anything_runs(asked: str, code: str) -> None:
    with pytest.raises(AssistantError) as raised:
        parse_conditions([asked])
    assert raised.value.code == code


# Files of noise, and chance


def noises(folder: Path) -> Path:
    folder.mkdir()
    for name, hertz in (("low.wav", 200), ("high.flac", 3000)):
        soundfile.write(folder / name, tone(hertz, 5.0), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF")
    (folder / "README.txt").write_text("no sound")
    soundfile.write(folder / "silence.wav", np.zeros(RATE), RATE)
    return folder


def test_the_same_noise_is_added_at_every_level_and_in_every_run(tmp_path: Path) -> None:
    folder, speech = noises(tmp_path / "n"), speechlike()
    row = Row(2, "a.wav", file=Path("a.wav"))
    loud, quiet = (
        prepare_condition(AudioCondition("noise", level, folder), 0)(row, speech) - speech for level in (0.0, 20.0)
    )
    assert loud == pytest.approx(10 * quiet, abs=1e-5)
    assert np.array_equal(prepare_condition(AudioCondition("noise", 0.0, folder), 0)(row, speech) - speech, loud)
    others = [
        prepare_condition(AudioCondition("noise", 0.0, folder), seed)(row, speech) - speech for seed in range(1, 9)
    ]
    assert not all(np.allclose(other, loud) for other in others)


def test_a_disturbance_travels_to_another_process_and_does_the_same_there(tmp_path: Path) -> None:
    disturb = prepare_condition(AudioCondition("noise", 5.0, noises(tmp_path / "n")), 3)
    there = pickle.loads(pickle.dumps(disturb))
    row, speech = Row(2, "a.wav"), speechlike()
    assert np.array_equal(there(row, speech), disturb(row, speech))


def test_broken_and_silent_files_are_passed_over(tmp_path: Path) -> None:
    disturb = prepare_condition(AudioCondition("noise", 10.0, noises(tmp_path / "n")), 0)
    speech = speechlike()
    for at in range(30):
        added = disturb(Row(at, f"{at}.wav"), speech) - speech
        assert db(disturbance.measure_active_power(speech) / power(added)) == pytest.approx(10, abs=0.1)


def test_a_folder_without_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("no sound")
    with pytest.raises(Invalid) as raised:
        prepare_condition(AudioCondition("noise", 10.0, tmp_path), 0)
    assert raised.value.code == "noise_unreadable"
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    with pytest.raises(Invalid) as raised:
        prepare_condition(AudioCondition("noise", 10.0, tmp_path), 0)(Row(1, "a"), speechlike())
    assert raised.value.code == "noise_unreadable"


def test_measured_rooms_come_from_a_folder(tmp_path: Path) -> None:
    response = np.zeros(2000, dtype=np.float32)
    response[[100, 900]] = 1.0, 0.5  # direct, and one echo 50 ms later
    soundfile.write(tmp_path / "hall.wav", response, RATE, subtype="FLOAT")
    speech = speechlike()
    heard = prepare_condition(AudioCondition("reverb", None, tmp_path), 0)(Row(1, "a"), speech)
    wanted = speech.copy()
    wanted[800:] += speech[:-800] / 2
    assert heard == pytest.approx(wanted * np.sqrt(power(speech) / power(wanted)), abs=1e-4)


@pytest.mark.parametrize("condition", parse_conditions(["all"]), ids=lambda c: c.name)
@pytest.mark.parametrize("samples", [0, 1, 319, 8001])
def test_clips_of_any_length_and_silence_survive(condition: AudioCondition, samples: int) -> None:
    disturb = prepare_condition(condition, 0)
    for clip in (speechlike()[:samples], np.zeros(samples, dtype=np.float32)):
        heard = disturb(Row(1, "a"), clip)
        assert heard.dtype == np.float32
        assert heard.shape == clip.shape
        assert np.isfinite(heard).all()


# Beside the clean run


def a_sheet(said: list[int], sure: float = 0.8) -> Sheet:
    """Two classes, two rows of each of ten speakers; `said` is what was predicted."""
    truth = np.tile(np.eye(2), (10, 1))
    predicted = np.eye(2, dtype=bool)[said]
    return Sheet(
        task="emotion",
        names=("joy", "sadness"),
        truth=truth,
        given=np.where(predicted, sure, 1 - sure),
        deviation=np.full((20, 0), np.nan),
        predicted=predicted,
        answered=np.ones(20, dtype=bool),
        clusters=np.repeat(np.arange(10), 2),
    )


def test_no_change_is_no_loss_and_no_doubt() -> None:
    clean = a_sheet([0, 1] * 8 + [1, 1] * 2)
    found = compute_losses(clean, clean, drop=False, replicates=200, seed=0)
    assert {(figure.value, figure.low, figure.high) for figure in found.values()} == {(0.0, 0.0, 0.0)}
    assert {"uar", "accuracy", "ece", "brier", "macro_auc"} <= set(found)


def test_a_loss_is_positive_where_harm_is_done_whatever_the_figure() -> None:
    clean, worse = a_sheet([0, 1] * 10), a_sheet([0, 1] * 6 + [0, 0] * 4)
    found = compute_losses(clean, worse, drop=False, replicates=500, seed=0)
    assert found["uar"].value == pytest.approx(0.2)
    assert 0 < found["uar"].low < 0.2 < found["uar"].high < 0.5
    for name in ("accuracy", "macro_f1", "brier", "nll", "aurc"):
        assert found[name].value > 0, name


def test_what_both_runs_share_does_not_widen_the_interval() -> None:
    """Speakers differ greatly, the loss is the same for all: resampled apart, the difference would be lost."""
    clean = a_sheet([0, 1] * 5 + [1, 1] * 5)
    noisier = replace(clean, given=np.where(clean.predicted, 0.7, 0.3))
    paired = compute_losses(clean, noisier, drop=False, replicates=500, seed=0)["nll"]
    before, after = (
        measures.compute_figures(s, drop=False, replicates=500, seed=0)["nll"] for s in (clean, noisier)
    )
    assert paired.value == pytest.approx(after.value - before.value)
    assert paired.high - paired.low < (before.high - before.low) / 2


def test_rows_that_only_one_run_could_read_are_left_out_of_the_loss() -> None:
    clean, worse = a_sheet([0, 1] * 10), a_sheet([0, 1] * 6 + [0, 0] * 4)
    keep = np.arange(20) < 12
    before, after = match_rows(clean, range(2, 22), worse.take(keep), list(range(2, 14)))
    assert len(before) == len(after) == 12
    assert compute_losses(before, after, drop=False, replicates=50, seed=0)["uar"].value == 0.0


def a_model_of_loudness(folder: Path) -> Path:
    """Quiet clips are anger to it, loud ones joy."""
    return saved(folder, loudness_graph(("batch", "samples")), voice_card(MAP))


def a_run(folder: Path, *asked: str, **options: Any) -> dict[str, Any]:
    lines = ["file,speaker,emotion"]
    for at in range(12):
        loud = at % 2
        soundfile.write(folder / f"{at}.wav", tone(440, 0.3, 0.6 if loud else 0.05), RATE, subtype="FLOAT")
        lines.append(f"{at}.wav,s{at // 2},{'joy' if loud else 'anger'}")
    (folder / "d.csv").write_text("\n".join(lines))
    out = folder / options.pop("out", "out")
    model = folder / "theirs"
    if not model.exists():
        a_model_of_loudness(model)
    run = RunOptions("voice", folder / "d.csv", model=model, out=out, bootstrap=100, conditions=asked, **options)
    assert evaluate(run) == 0
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def test_a_run_reports_each_condition_beside_the_clean_one(tmp_path: Path) -> None:
    report = a_run(tmp_path, "gain:-20,30", "telephone")
    assert report["metrics"]["uar"]["value"] == 1.0
    quiet, loud, line = report["conditions"]
    assert [one["name"] for one in report["conditions"]] == ["gain_-20dB", "gain_30dB", "telephone"]
    assert (quiet["kind"], quiet["level"], quiet["n"], quiet["abstained"]) == ("gain", -20.0, 12, {})
    assert quiet["metrics"]["uar"]["value"] == loud["metrics"]["uar"]["value"] == 0.5
    assert quiet["loss"]["uar"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert line["loss"]["uar"]["value"] == 0.0
    assert any("third-party" in note for note in report["notes"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "gain -20dB" in page


@pytest.mark.slow
def test_two_runs_under_conditions_are_the_same_to_the_last_bit(tmp_path: Path) -> None:
    asked = ("noise@0", "reverb:0.3", "opus:16", f"noise:{noises(tmp_path / 'cafe')}@5")
    first = a_run(tmp_path, *asked)
    again = a_run(tmp_path, *asked, workers=1, out="again")
    assert json.dumps(first["conditions"]) == json.dumps(again["conditions"])
    resumed = a_run(tmp_path, *asked, resume=True)
    assert json.dumps(first["conditions"]) == json.dumps(resumed["conditions"])
    other = a_run(tmp_path, *asked, seed=1, out="other")
    assert other["conditions"][0]["metrics"]["nll"] != first["conditions"][0]["metrics"]["nll"]


def test_a_condition_that_can_not_be_is_said_before_any_model_is_opened(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as raised:
        a_run(tmp_path, "echo")
    assert raised.value.code == "condition_invalid"
    assert not (tmp_path / "out").exists()


def test_two_folders_of_one_name_are_told_apart_by_the_user(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "cafe").mkdir(parents=True)
    with pytest.raises(Invalid, match="rename"):
        parse_conditions([f"noise:{tmp_path}/a/cafe@0", f"noise:{tmp_path}/b/cafe@0"])
