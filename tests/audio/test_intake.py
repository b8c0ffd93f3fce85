"""Audio comes in pieces of any size and in several formats; what is heard is the same."""

from __future__ import annotations

import contextlib
import io
import itertools
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import av
import msgspec
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.audio.intake import MAX_SECONDS, AudioFormat, Doubler, Intake
from assistant.audio.pcm import ALAW, ULAW, Samples, to_pcm16
from assistant.audio.recording import CodecHead
from assistant.audio.webm import WebmReader
from assistant.errors import Invalid, TooLarge
from assistant.server.live.dialect import SessionOptions
from tests.audio.pieces import hear_pieces
from tests.conftest import House

WEBM = AudioFormat("audio/webm", 48_000)
EVERY = [AudioFormat("audio/pcm", rate) for rate in (16_000, 24_000, 48_000)] + [
    AudioFormat("audio/pcmu", 8_000),
    AudioFormat("audio/pcma", 8_000),
    WEBM,
]
UNKNOWN = b"\x01" + b"\xff" * 7
HEAD = b"OpusHead\x01\x01" + (312).to_bytes(2, "little") + (48_000).to_bytes(4, "little") + b"\0\0\0"


def _sung(seconds: float, rate: int) -> np.ndarray:
    at = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 220 * at) + 0.2 * np.sin(2 * np.pi * 1_234 * at)).astype(np.float32)


def _encoded(samples: np.ndarray, channels: int = 1) -> bytes:
    """What FFmpeg makes of it."""
    file = io.BytesIO()
    layout = "mono" if channels == 1 else "stereo"
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout=layout)
        interleaved = np.repeat(samples[None], channels, axis=0).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(interleaved), format="flt", layout=layout)
        frame.sample_rate = 48_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def _element(name: str, content: bytes = b"", *, unknown: bool = False) -> bytes:
    size = UNKNOWN if unknown else (len(content) | 1 << 28).to_bytes(4)
    return bytes.fromhex(name) + size + content


def _block(packet: bytes, track: int = 1, flags: int = 0x80) -> bytes:
    return bytes([0x80 | track, 0, 0, flags]) + packet


def _track(
    number: int = 1, kind: int = 2, codec: bytes = b"A_OPUS", head: bytes = HEAD, more: bytes = b""
) -> bytes:
    return _element(
        "AE",
        _element("D7", bytes([number]))
        + _element("83", bytes([kind]))
        + _element("86", codec)
        + _element("63A2", head)
        + more,
    )


def _recorded(packets: Iterable[bytes], tracks: bytes = _track(), first: bytes = b"") -> bytes:
    """A file as a browser writes it while it records: neither the segment nor a cluster has a size."""
    blocks = [_element("A3", _block(packet)) for packet in packets]
    clusters = [
        _element("1F43B675", unknown=True) + _element("E7", b"\x00") + b"".join(blocks[start : start + 5])
        for start in range(0, len(blocks), 5)
    ]
    return (
        _element("1A45DFA3", _element("4286", b"\x01") + _element("4282", b"webm"))
        + _element("18538067", unknown=True)
        + _element("1549A966", _element("4D80", b"a browser"))
        + _element("1654AE6B", tracks)
        + first
        + b"".join(clusters)
    )


def _opus(samples: np.ndarray) -> list[bytes]:
    return [part for part in WebmReader().feed(_encoded(samples)) if isinstance(part, bytes)]


def _coded(samples: np.ndarray, table: np.ndarray) -> bytes:
    order = np.argsort(table)
    middles = (table[order][1:] + table[order][:-1]) / 2
    return order[np.searchsorted(middles, samples)].astype(np.uint8).tobytes()


def _sent(form: AudioFormat, seconds: float = 1.0) -> bytes:
    sung = _sung(seconds, form.rate)
    match form.type:
        case "audio/pcm":
            return to_pcm16(sung)
        case "audio/pcmu":
            return _coded(sung, ULAW)
        case "audio/pcma":
            return _coded(sung, ALAW)
        case _:
            return _recorded(_opus(sung))


SENT = {form: _sent(form) for form in EVERY}


@pytest.mark.parametrize("form", EVERY, ids=str)
def test_what_was_sung_is_heard_at_16_khz(form: AudioFormat) -> None:
    heard = hear_pieces(form, SENT[form], itertools.repeat(4_000))
    assert heard.dtype == np.float32
    late = len(heard) - 16_000  # Opus fills its last packet up
    assert 0 <= late <= (0 if form.type != "audio/webm" else 320)
    assert np.corrcoef(heard[:16_000], _sung(1.0, 16_000))[0, 1] > 0.995


@pytest.mark.parametrize("form", EVERY, ids=str)
@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_the_pieces_do_not_matter(form: AudioFormat, sizes: list[int]) -> None:
    data = SENT[form][:4_000]
    whole = hear_pieces(form, data, itertools.repeat(10**6))
    parted = hear_pieces(form, data, itertools.cycle([*sizes, 700]))
    assert len(parted) == len(whole)
    assert np.allclose(parted, whole, atol=1e-6)


@pytest.mark.parametrize("form", EVERY, ids=str)
def test_after_the_end_it_begins_anew(form: AudioFormat) -> None:
    intake = Intake(form)
    for _ in range(2):
        heard = np.concatenate([intake.decode(SENT[form]), intake.flush()])
        assert np.array_equal(heard, hear_pieces(form, SENT[form], [10**6]))
    intake.decode(SENT[form][:1_001])
    intake.flush()
    assert np.array_equal(intake.decode(SENT[form]), Intake(form).decode(SENT[form])), (
        "nothing is left of what came before"
    )


@pytest.mark.parametrize("form", EVERY, ids=str)
def test_less_than_40_ms_wait_inside(form: AudioFormat) -> None:
    heard = Intake(form).decode(SENT[form])
    assert len(heard) > 16_000 - 640


def test_resampling_in_pieces_is_resampling_at_once() -> None:
    sung = _sung(1.0, 48_000)
    heard = hear_pieces(AudioFormat("audio/pcm", 48_000), to_pcm16(sung), itertools.repeat(1_234))
    assert np.allclose(heard, soxr.resample(sung, 48_000, 16_000), atol=1e-4)


def test_a_telephone_is_heard_as_it_sounded_up_to_3500_hz() -> None:
    at = np.arange(8_000) / 8_000
    voices = sum((np.sin(2 * np.pi * hz * at + hz) for hz in range(300, 3_501, 100)), np.zeros(8_000))
    narrow = voices.astype(np.float32) / np.float32(33)
    wide = sum(np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000 + hz) for hz in range(300, 3_501, 100)) / 33
    doubler = Doubler()
    heard = np.concatenate([doubler.resample_chunk(narrow), doubler.resample_chunk(narrow[:0], last=True)])
    assert len(heard) == 16_000
    assert np.abs(heard - wide)[200:-200].max() < 1e-3


@pytest.mark.parametrize(("table", "name"), [(ULAW, "pcm_mulaw"), (ALAW, "pcm_alaw")])
def test_each_code_of_g711_stands_for_what_the_standard_says(table: Samples, name: str) -> None:
    codec = av.AudioCodecContext.create(name, "r")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout = 8_000, "mono"
    (frame,) = codec.decode(av.Packet(bytes(range(256))))
    assert (table * 32_768).tolist() == frame.to_ndarray()[0].tolist()


class TestFormats:
    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            ({"type": "audio/pcm", "rate": 24_000}, AudioFormat("audio/pcm", 24_000)),
            ({"type": "audio/pcm", "rate": 16_000}, AudioFormat("audio/pcm", 16_000)),
            ({"type": "audio/pcm"}, AudioFormat("audio/pcm", 24_000)),
            ({"type": "audio/pcm", "rate": 48_000.0}, AudioFormat("audio/pcm", 48_000)),
            ({"type": "audio/pcmu"}, AudioFormat("audio/pcmu", 8_000)),
            ({"type": "audio/pcma", "rate": 8_000}, AudioFormat("audio/pcma", 8_000)),
            ("pcm16", AudioFormat("audio/pcm", 24_000)),
            ("g711_ulaw", AudioFormat("audio/pcmu", 8_000)),
            ("g711_alaw", AudioFormat("audio/pcma", 8_000)),
            ('audio/webm; codecs="opus"', WEBM),
            ({"type": "audio/webm"}, WEBM),
            ("audio/ogg; codecs=opus", AudioFormat("audio/ogg", 48_000)),
            ({"type": "audio/ogg"}, AudioFormat("audio/ogg", 48_000)),
            ({"type": "audio/mp4"}, AudioFormat("audio/mp4", 48_000)),
            ("audio/mp4; codecs=mp4a.40.2", AudioFormat("audio/mp4", 48_000)),
            ('audio/mp4;codecs="mp4a.40.29"', AudioFormat("audio/mp4", 48_000)),
            ({"type": "audio/mp4;codecs=Opus"}, AudioFormat("audio/mp4", 48_000)),
        ],
    )
    def test_it_may_be_said_as_the_realtime_api_does(self, said: dict[str, Any] | str, meant: AudioFormat) -> None:
        assert AudioFormat.parse(said) == meant
        shown = SessionOptions(format=meant).show().input.format
        assert AudioFormat.parse(msgspec.to_builtins(shown)) == meant

    @pytest.mark.parametrize(
        "said",
        [
            {"type": "audio/pcm", "rate": 96_000},
            {"type": "audio/pcm", "rate": "24000"},
            {"type": "audio/pcmu", "rate": 16_000},
            {"type": "audio/mpeg"},
            {"type": ["audio/pcm"]},
            "audio/webm;codecs=vorbis",
            "audio/ogg;codecs=mp4a.40.2",
            "audio/mp4;codecs=mp4a.6b",
            "audio/mp4;codecs=flac",
            "audio/pcm;codecs=opus",
            {},
            None,
            7,
        ],
    )
    def test_others_are_refused_with_those_that_are_supported(
        self, said: dict[str, Any] | int | str | None
    ) -> None:
        with pytest.raises(Invalid, match="audio/pcm at 8000 to 48000 Hz") as refused:
            AudioFormat.parse(said)
        assert refused.value.code == "unsupported_audio_format"


class TestWebm:
    @pytest.mark.parametrize("channels", [1, 2])
    def test_it_is_what_ffmpeg_hears_to_the_last_bit(self, channels: int) -> None:
        file = _encoded(_sung(1.0, 48_000), channels)
        intake = Intake(WEBM)
        heard = np.concatenate([intake.decode(file), intake.flush()])
        with av.open(io.BytesIO(file), "r") as container:
            sung = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])
        expected = soxr.resample(sung, 48_000, 16_000)
        assert np.allclose(heard[:15_900], expected[:15_900], atol=1e-6)

    def test_a_recorder_that_begins_again_is_heard_again(self) -> None:
        once = SENT[WEBM]
        heard = hear_pieces(WEBM, once + once, itertools.repeat(700))
        assert abs(len(heard) - 2 * len(hear_pieces(WEBM, once, [10**6]))) <= 1

    def test_other_tracks_and_what_is_not_needed_are_passed_over(self) -> None:
        packets = _opus(_sung(0.2, 48_000))
        tracks = _track(7, kind=1, codec=b"V_VP8") + _track(1) + _track(3)
        picture = (
            _element("1F43B675", unknown=True)
            + _element("A3", _block(bytes(9_000), 7))
            + _element("EC", bytes(90_000))
        )
        group = _element("A0", _element("A1", _block(packets[0])) + _element("9B", b"\x14"))
        file = _recorded(packets[1:], tracks, picture + group)
        assert [part for part in WebmReader().feed(file) if isinstance(part, bytes)] == packets

    @pytest.mark.parametrize(
        ("file", "why"),
        [
            (bytes(100), "another format"),
            (_recorded([b"x"], _track(kind=1)), "no Opus track"),
            (_recorded([b"x"], _track(codec=b"A_VORBIS")), "no Opus track"),
            (_recorded([b"x"], b""), "no Opus track"),
            (_recorded([b"x"], _track(head=b"")), "no header for mono"),
            (_recorded([b"x"], _track(head=HEAD[:9] + b"\x06" + HEAD[10:])), "mono or stereo"),
            (_recorded([b"x"], _track(more=_element("6D80", b"\x00"))), "encrypted"),
            (_recorded([b"x"]).replace(b"webm", b"mine"), "another type"),
            (_recorded([], first=_element("A3", _block(b"x"))), "block is broken"),
            (_recorded([b"x"]) + _element("A3", b"\x81"), "block is broken"),
            (_recorded([b"x"]) + _element("A3", _block(b"x", flags=0x02)), "lacing"),
            (_recorded([b"x"]) + _element("A3", unknown=True), "no size"),
            (_recorded([b"x"]) + b"\x00", "invalid header"),
            (_recorded([b"x"]) + b"\xa3\x00", "invalid header"),
            (_recorded([b"x"]) + b"\xec\x80" * 40_000, "elements"),
        ],
    )
    def test_what_is_broken_is_said_and_only_a_new_recording_is_read_after_it(self, file: bytes, why: str) -> None:
        intake = Intake(WEBM)
        with pytest.raises(Invalid, match=why) as refused:
            intake.decode(file)
        assert refused.value.code == "audio_unreadable"
        with pytest.raises(Invalid, match="start a new recording"):
            intake.decode(b"more of it")
        assert len(intake.decode(SENT[WEBM])) > 15_000

    def test_a_packet_that_is_not_opus_is_said_and_costs_only_itself(self) -> None:
        packets = _opus(_sung(0.4, 48_000))
        intake = Intake(WEBM)
        intake.decode(_recorded(packets[:5]))
        with pytest.raises(Invalid, match="packet of the recording"):
            intake.decode(_element("A3", _block(b"\xff\xff\xff\xff")))
        assert len(intake.decode(b"".join(_element("A3", _block(packet)) for packet in packets[5:]))) > 3_000

    def test_a_few_bytes_that_claim_to_be_hours_are_refused(self) -> None:
        long = b"\x1f\x02"  # two frames of 60 ms without any data
        intake = Intake(WEBM)
        with pytest.raises(TooLarge) as refused:
            intake.decode(_recorded([long] * 10 * MAX_SECONDS))
        assert refused.value.code == "audio_too_long"

    @settings(max_examples=50, deadline=None)
    @given(st.data())
    def test_whatever_comes_it_neither_crashes_nor_grows(self, data: st.DataObject) -> None:
        file = bytearray(SENT[WEBM])
        for _ in range(data.draw(st.integers(1, 6))):
            at = data.draw(st.integers(0, len(file) - 1))
            file[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        intake, reader = Intake(WEBM), WebmReader()
        for start in range(0, len(file), 500):
            piece = bytes(file[start : start + 500])
            for take in (intake.decode, reader.feed):
                with contextlib.suppress(Invalid, TooLarge):
                    take(piece)
            assert len(reader._rest) < 66_000

    def test_a_block_that_never_ends_is_not_kept(self) -> None:
        reader = WebmReader()
        reader.feed(_recorded([]) + _element("1F43B675", unknown=True) + b"\xa3\x08" + b"\xff" * 7)
        for _ in range(100):
            reader.feed(bytes(10_000))
        assert len(reader._rest) == 0

    def test_the_head_comes_before_the_packets(self) -> None:
        first, *others = WebmReader().feed(_recorded([b"a", b"b"]))
        assert first == CodecHead("opus", HEAD)
        assert others == [b"a", b"b"]


async def test_a_browser_is_heard_over_the_stream(house: House, recording: Samples) -> None:
    await house.person()
    await house.consent("voice", "tone")
    microphone = await house.stream()
    await microphone.acknowledge()
    await microphone.send({"type": "session.update", "session": {"audio": {"input": {"format": "audio/webm"}}}})
    spoken = np.concatenate([recording[: 4 * 16_000], np.zeros(16_000, dtype=np.float32)])
    file = _recorded(_opus(soxr.resample(spoken, 16_000, 48_000)))
    for start in range(0, len(file), 1_000):
        await microphone.send(file[start : start + 1_000])
    while not any(event["final"] for event in microphone.of("affect.result")):
        await microphone.until("affect.result", len(microphone.of("affect.result")) + 1)
    assert microphone.of("session.updated")[0]["session"]["audio"]["input"]["format"] == {"type": "audio/webm"}
    await microphone.send(b"\0")
    assert (await microphone.until("error"))["error"]["code"] == "audio_unreadable"


def test_pyav_is_loaded_only_once_a_browser_speaks() -> None:
    code = """
import sys
from assistant.audio.intake import AudioFormat, Intake

Intake(AudioFormat("audio/pcm", 24_000)).decode(b"\\0" * 100)
assert "av" not in sys.modules
Intake(AudioFormat("audio/webm", 48_000))
assert "av" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
