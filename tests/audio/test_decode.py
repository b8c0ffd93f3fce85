"""Any recording is read, at any rate, in bounded memory; what can't be read is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from assistant.audio.decode import LONGEST_S, read_audio
from assistant.errors import Invalid

RATE = 48_000
SECONDS = 3


def a_tone(seconds: float = SECONDS, rate: int = RATE, hz: float = 440) -> np.ndarray:
    """Rises and falls, so that a shift shows."""
    t = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * hz * t) * (0.2 + 0.1 * np.sin(2 * np.pi * 0.7 * t))).astype(np.float32)


def encoded(file: Path, codec: str, channels: int = 2) -> Path:
    """The tone, twice as loud on the left as on the right where there are two channels."""
    with av.open(str(file), "w") as container:
        layout = "stereo" if channels == 2 else "mono"
        stream = container.add_stream(codec, rate=RATE, layout=layout)
        assert isinstance(stream, av.AudioStream)
        tone = a_tone()
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(np.stack([tone, tone / 2][:channels])), format="fltp", layout=layout
        )
        frame.sample_rate, frame.pts = RATE, 0
        waiting = av.AudioFifo()
        for ready in av.AudioResampler(format=stream.format, layout=layout, rate=RATE).resample(frame):
            waiting.write(ready)
        while (part := waiting.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """The highest correlation within 30 ms of each other: what an encoder may shift."""
    count = min(len(one), len(other)) - 1000
    return max(
        float(np.corrcoef(one[500 : 500 + count], other[500 + s : 500 + s + count])[0, 1]) for s in range(-500, 500)
    )


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.m4a", "aac"), ("a.mkv", "aac"), ("a.webm", "libopus"), ("a.mp3", "libmp3lame"), ("a.ts", "aac")],
)
def test_formats_beyond_libsndfile_are_read_and_cut(name: str, codec: str, tmp_path: Path) -> None:
    file = encoded(tmp_path / name, codec)
    expected = soxr.resample(a_tone() * 0.75, RATE, 16_000)
    whole = read_audio(file)
    assert len(whole) == pytest.approx(SECONDS * 16_000, abs=900)
    assert likeness(whole, expected) > 0.99
    part = read_audio(file, start_s=1.5, end_s=2.25)
    assert len(part) == 0.75 * 16_000
    assert likeness(part, whole[24_000:36_000]) > 0.99


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000])
def test_every_rate_and_every_number_of_channels_becomes_one_channel_at_16_khz(rate: int, tmp_path: Path) -> None:
    tone = a_tone(25, rate)  # more than a block
    six = np.stack([tone * gain for gain in (1, 0, 1, 0, 1, 0)], axis=1)
    soundfile.write(tmp_path / "a.wav", six, rate, subtype="FLOAT")
    read = read_audio(tmp_path / "a.wav")
    assert read.dtype == np.float32
    # blocks leave no seam: the same as all at once
    assert np.array_equal(read, soxr.resample(six.mean(axis=1, dtype=np.float32), rate, 16_000))


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.wav", b"", "audio_unreadable"),
        ("a.mp4", b"no film at all" * 99, "audio_unreadable"),
        ("a.m3u8", b"#EXTM3U\n#EXTINF:1,\nsecret.ts\n", "audio_unreadable"),
        ("a.wav", b"ffconcat version 1.0\nfile secret.ts\n", "audio_unreadable"),
        ("a.sdp", b"v=0\nm=audio 5004 RTP/AVP 0\n", "audio_unreadable"),
    ],
)
def test_what_is_no_recording_is_told(name: str, content: bytes, code: str, tmp_path: Path) -> None:
    encoded(tmp_path / "secret.ts", "aac")  # lists that name other files are not followed
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid) as raised:
        read_audio(tmp_path / name)
    assert raised.value.code == code


def test_a_film_without_sound_is_told(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(Invalid, match="it has no audio track"):
        read_audio(tmp_path / "a.mp4")


def test_damaged_files_are_told_or_read_as_far_as_they_go(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", a_tone(), RATE)
    whole = (tmp_path / "a.flac").read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:9_000] + bytes(3_000) + whole[12_000:]):
        (tmp_path / "a.flac").write_bytes(damaged)
        with pytest.raises(Invalid) as raised:
            read_audio(tmp_path / "a.flac")
        assert raised.value.code == "audio_unreadable"
    soundfile.write(tmp_path / "a.wav", a_tone(), RATE)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:100_044])
    assert len(read_audio(tmp_path / "a.wav")) == pytest.approx(50_000 / 3, abs=2)


def test_no_samples_one_sample_and_samples_that_are_no_numbers(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    for count, rate, code in ((0, 16_000, "audio_empty"), (1, RATE, "audio_empty")):
        soundfile.write(file, np.ones(count), rate)
        with pytest.raises(Invalid) as raised:
            read_audio(file)
        assert raised.value.code == code
    soundfile.write(file, np.ones(1), 16_000)
    assert len(read_audio(file)) == 1  # the reader says that it is too short
    for wrong in (np.nan, np.inf):
        soundfile.write(file, np.array([0.1, wrong] * 900), 16_000, subtype="FLOAT")
        with pytest.raises(Invalid) as raised:
            read_audio(file)
        assert raised.value.code == "audio_not_finite"


def ten_hours(file: Path) -> Path:
    minute = a_tone(60, 8_000)
    with soundfile.SoundFile(file, "w", 8_000, 1, subtype="PCM_U8", format="W64") as opened:
        for _ in range(600):
            opened.write(minute)
    return file


@pytest.mark.slow
def test_of_ten_hours_only_the_part_that_is_meant_is_read(tmp_path: Path) -> None:
    file = ten_hours(tmp_path / "a.w64")
    script = (
        "import resource; from pathlib import Path; from assistant.audio.decode import read_audio;"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = used();"
        f"read = read_audio(Path({str(file)!r}), start_s=35_000, end_s=35_003);"
        "print(len(read), used() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    count, grown_kb = map(int, done.stdout.split())
    assert count == 48_000
    assert grown_kb < 30_000
    with pytest.raises(Invalid, match="trim_start_s") as raised:
        read_audio(file)
    assert raised.value.code == "audio_too_long"


def test_a_length_that_no_header_tells_is_bounded_too(tmp_path: Path) -> None:
    file = encoded(tmp_path / "a.mkv", "aac")
    with pytest.raises(Invalid) as raised:
        read_audio(file, longest_s=1.0)
    assert raised.value.code == "audio_too_long"
    assert len(read_audio(file, end_s=0.9, longest_s=1.0)) == 0.9 * 16_000
    assert LONGEST_S == 600
