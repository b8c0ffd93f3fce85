"""Recordings whose header doesn't tell their length, codecs that can't be sought in, channels that cancel out."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from assistant import read_voice
from assistant.audio.decode import convert_samples, read_audio
from assistant.emotion import Abstention
from assistant.errors import Invalid
from tests.audio.test_decode import a_tone, likeness

RATE = 16_000


def written(tone: np.ndarray, kind: str = "WAV", subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    memory = io.BytesIO()
    soundfile.write(memory, tone, rate, format=kind, subtype=subtype)
    return memory.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "GSM610"),
        ("WAV", "G721_32"),
        ("AIFF", "GSM610"),
        ("AU", "G723_24"),
        ("WAV", "ULAW"),
        ("WAV", "ALAW"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "MS_ADPCM"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("CAF", "ALAC_16"),
        ("NIST", "ULAW"),
    ],
)
def test_every_codec_is_read_whole_and_in_parts(kind: str, subtype: str, tmp_path: Path) -> None:
    file = tmp_path / "a.audio"
    tone = a_tone(3, 8_000)
    file.write_bytes(written(tone, kind, subtype, 8_000))
    whole = read_audio(file)
    assert len(whole) == pytest.approx(3 * RATE, abs=900)  # some codecs fill a block with silence
    assert likeness(whole[: 3 * RATE], np.repeat(tone, 2)) > 0.95
    part = read_audio(file, start_s=1.5, end_s=2.25)
    assert len(part) == 0.75 * RATE
    assert likeness(part, whole[24_000:36_000]) > 0.99
    assert np.array_equal(read_audio(file.read_bytes()), whole)


def sized(content: bytes, chunk: bytes, size: bytes) -> bytes:
    """With another size of this chunk."""
    at = content.index(chunk) + len(chunk)
    return content[:at] + size + content[at + len(size) :]


def riff(size: bytes) -> Callable[[bytes], bytes]:
    return lambda content: sized(sized(content, b"RIFF", size), b"data", size)


def with_list(content: bytes) -> bytes:
    """As FFmpeg writes into a pipe: a chunk of notes before the samples."""
    at = content.index(b"data")
    return sized(content[:at] + b"LIST\x04\0\0\0INFO" + content[at:], b"data", bytes(4))


@pytest.mark.parametrize(
    ("kind", "subtype", "damage"),
    [
        ("WAV", "PCM_16", lambda content: sized(content, b"data", bytes(4))),
        ("WAV", "PCM_16", riff(bytes(4))),
        ("WAV", "PCM_16", riff(b"\xff" * 4)),
        ("WAV", "PCM_16", riff(b"\xff\xff\xff\x7f")),
        ("WAV", "PCM_16", riff(b"\x00\xf0\xff\x7f")),  # SoX into a pipe
        ("WAV", "PCM_16", with_list),
        ("WAV", "ULAW", riff(bytes(4))),
        ("WAV", "FLOAT", riff(bytes(4))),
        ("AU", "PCM_16", lambda content: content[:8] + b"\xff" * 4 + content[12:]),
        ("CAF", "PCM_16", lambda content: sized(content, b"data", b"\xff" * 8)),
        ("FLAC", "PCM_16", lambda content: content[:21] + bytes([content[21] & 0xF0]) + bytes(4) + content[26:]),
    ],
)
def test_without_a_length_in_the_header_the_file_is_read_to_its_end(
    kind: str, subtype: str, damage: Callable[[bytes], bytes]
) -> None:
    whole = written(a_tone(3, RATE), kind, subtype)
    odd = damage(whole)
    assert odd != whole
    assert likeness(read_audio(odd), read_audio(whole)) > 0.999
    assert len(read_audio(odd)) == 3 * RATE
    assert np.allclose(read_audio(odd, start_s=1, end_s=2), read_audio(whole, start_s=1, end_s=2), atol=1e-4)


@pytest.mark.parametrize("tag", ["0", "1"])
def test_a_variable_bit_rate_is_read_whole_with_and_without_a_tag(tag: str, tmp_path: Path) -> None:
    """Silence first: from it, the length of the whole is estimated much too short."""
    file = tmp_path / "a.mp3"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 6 * RATE).astype(np.float32)
    sound = np.concatenate([0.01 * a_tone(6, RATE), noise])
    with av.open(str(file), "w", options={"write_xing": tag}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.flags |= av.codec.context.Flags.qscale
        stream.codec_context.global_quality = 4 * 118
        for at in range(0, len(sound), 576):
            frame = av.AudioFrame.from_ndarray(sound[None, at : at + 576], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole = read_audio(file)
    assert len(whole) == pytest.approx(12 * RATE, abs=2_000)
    part = read_audio(file, start_s=10.5, end_s=11.5)
    assert np.array_equal(part, whole[int(10.5 * RATE) : int(11.5 * RATE)])


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_of_recorded_radio_every_stream_is_read(subtype: str) -> None:
    """Ogg files one after the other are one Ogg file."""
    first, second = (written(a_tone(3, RATE, hz), "OGG", subtype) for hz in (440, 700))
    whole = read_audio(first + second)
    assert len(whole) == pytest.approx(6 * RATE, abs=300)
    assert likeness(whole[:40_000], read_audio(first)[:40_000]) > 0.99
    assert likeness(read_audio(first + second, start_s=4, end_s=5), read_audio(second, start_s=1, end_s=2)) > 0.99
    assert len(read_audio(first)) == len(read_audio(second)) == 3 * RATE


def two(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


def test_of_two_sides_of_a_call_one_is_heard(tmp_path: Path) -> None:
    one, other = a_tone(2, RATE), a_tone(2, RATE, hz=700)
    file = tmp_path / "call.wav"
    soundfile.write(file, two(one, other), RATE, subtype="FLOAT")
    assert np.array_equal(read_audio(file, channel=1), one)
    assert np.array_equal(read_audio(file, channel=2), other)
    assert np.allclose(read_audio(file), (one + other) / 2, atol=1e-6)  # nothing cancels out
    assert np.array_equal(convert_samples(two(one, other), RATE, 2), other)
    with pytest.raises(Invalid, match="has 2 channels, and channel 3 was asked for") as raised:
        read_audio(file, channel=3)
    assert raised.value.code == "audio_channel_missing"


@pytest.mark.parametrize("gain", [-1.0, -0.98, -0.8])
def test_channels_that_cancel_out_are_told_and_one_can_be_chosen(gain: float, tmp_path: Path) -> None:
    tone = a_tone(2, RATE)
    file = tmp_path / "a.flac"
    soundfile.write(file, two(tone, gain * tone), RATE)
    for read in (
        lambda: read_audio(file),
        lambda: convert_samples(two(tone, gain * tone), RATE),
        lambda: read_voice(file),
    ):
        with pytest.raises(Invalid, match="--channel") as raised:
            read()
        assert raised.value.code == "audio_channels_cancel"
    assert np.allclose(read_audio(file, channel=1), tone, atol=1e-4)
    assert isinstance(read_voice(file, channel=2), Abstention)  # a tone is no speech


def test_channels_that_differ_or_are_silent_are_mixed(tmp_path: Path) -> None:
    tone = a_tone(2, RATE)
    quiet, delayed = np.zeros_like(tone), np.roll(tone, 3)
    for right in (tone, quiet, -0.3 * tone, delayed):
        assert len(convert_samples(two(tone, right), RATE)) == 2 * RATE
    assert len(convert_samples(two(quiet, quiet), RATE)) == 2 * RATE
