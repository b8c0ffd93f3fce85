"""Recordings of browsers come in pieces of any size, in several containers; what is heard is the same."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.audio.intake import MAX_SECONDS, AudioFormat, Intake, Kind
from assistant.audio.mp4 import Mp4Reader
from assistant.audio.ogg import OggReader, checksum
from assistant.audio.pcm import Samples
from assistant.audio.recording import RecordingReader
from assistant.errors import Invalid, TooLarge
from tests.audio.pieces import hear_pieces
from tests.conftest import House

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "200000"}
FOR_IOS = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "100000"}


def _sung(seconds: float, rate: int) -> np.ndarray:
    at = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 220 * at) + 0.2 * np.sin(2 * np.pi * 1_234 * at)).astype(np.float32)


def _muxed(
    samples: np.ndarray,
    container: str,
    codec: str,
    rate: int = 48_000,
    channels: int = 1,
    options: dict[str, str] | None = None,
    video: bool = False,
) -> bytes:
    """What FFmpeg makes of it."""
    file, layout = io.BytesIO(), "mono" if channels == 1 else "stereo"
    with av.open(file, "w", format=container, options=options or {}) as opened:
        pictures = opened.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p") if video else None
        stream: Any = opened.add_stream(codec, rate=rate, layout=layout)
        for step in range(0, len(samples), rate // 10):
            if pictures is not None:
                picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8))
                opened.mux(pictures.encode(picture))
            part = np.repeat(samples[None, step : step + rate // 10], channels, axis=0)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(part.T.reshape(1, -1)), format="flt", layout=layout
            )
            frame.sample_rate = rate
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode(None))
        if pictures is not None:
            opened.mux(pictures.encode(None))
    return file.getvalue()


def _mp4(
    samples: np.ndarray, codec: str = "aac", rate: int = 48_000, channels: int = 1, video: bool = False
) -> bytes:
    return _muxed(samples, "mp4", codec, rate, channels, FRAGMENTED, video)


def _ogg(samples: np.ndarray, channels: int = 1) -> bytes:
    return _muxed(samples, "ogg", "libopus", channels=channels, options={"page_duration": "100000"})


MP4, OGG = AudioFormat("audio/mp4", 48_000), AudioFormat("audio/ogg", 48_000)
SENT: dict[str, tuple[AudioFormat, bytes]] = {
    "Firefox": (OGG, _ogg(_sung(1.0, 48_000))),
    "Firefox, stereo": (OGG, _ogg(_sung(1.0, 48_000), 2)),
    "Safari": (MP4, _mp4(_sung(1.0, 48_000))),
    "Safari at 44.1 kHz": (MP4, _mp4(_sung(1.0, 44_100), rate=44_100)),
    "Safari at 16 kHz": (MP4, _mp4(_sung(1.0, 16_000), rate=16_000)),
    "Safari, stereo": (MP4, _mp4(_sung(1.0, 48_000), channels=2)),
    "Safari with Opus": (MP4, _mp4(_sung(1.0, 48_000), "libopus")),
    "Safari with a picture": (MP4, _mp4(_sung(1.0, 48_000), video=True)),
    "offsets from the file's begin": (
        MP4,
        _muxed(_sung(1.0, 48_000), "mp4", "aac", options=FOR_IOS, video=True),
    ),
    "a segment, as for DASH": (
        MP4,
        _muxed(
            _sung(1.0, 48_000),
            "mp4",
            "aac",
            options={"movflags": "dash+cmaf+empty_moov+delay_moov", "frag_duration": "200000"},
        ),
    ),
}


FEW = ("Firefox", "Safari at 44.1 kHz", "Safari with Opus", "offsets from the file's begin")


def _by_ffmpeg(data: bytes) -> np.ndarray:
    """What FFmpeg hears, at 16 kHz."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.audio[0]
        heard = [frame.to_ndarray().mean(axis=0) for frame in container.decode(stream)]
        return np.asarray(soxr.resample(np.concatenate(heard), stream.rate, 16_000), dtype=np.float32)


@pytest.mark.parametrize("browser", SENT)
def test_what_was_sung_is_heard(browser: str) -> None:
    form, data = SENT[browser]
    heard = hear_pieces(form, data, itertools.repeat(4_000))
    assert heard.dtype == np.float32
    sung = _sung(1.0, 16_000)[:12_000]
    late = int(np.correlate(heard, sung, "valid").argmax())  # an encoder's run-up
    best = np.corrcoef(heard[late : late + len(sung)], sung)[0, 1]
    assert best > 0.99
    assert abs(len(heard) - 16_000) < 3_200


@pytest.mark.parametrize("browser", SENT)
def test_it_is_what_ffmpeg_hears(browser: str) -> None:
    form, data = SENT[browser]
    heard, expected = hear_pieces(form, data, [10**6]), _by_ffmpeg(data)
    late = abs(len(heard) - len(expected))  # FFmpeg leaves out an encoder's run-up and what fills the last packet
    assert late < 1_600
    away = [np.abs(heard[start:][:8_000:9] - expected[:8_000:9])[20:].max() for start in range(late + 1)]
    assert min(away) < 1e-3


@pytest.mark.parametrize("browser", FEW)
@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_the_pieces_do_not_matter(browser: str, sizes: list[int]) -> None:
    form, data = SENT[browser]
    whole = hear_pieces(form, data, [10**6])
    parted = hear_pieces(form, data, itertools.cycle([*sizes, 700]))
    assert len(parted) == len(whole)
    assert np.allclose(parted, whole, atol=1e-6)


@pytest.mark.parametrize("browser", ["Firefox", "Safari", "Safari with Opus"])
def test_byte_by_byte_is_the_same(browser: str) -> None:
    form, data = SENT[browser]
    assert np.allclose(hear_pieces(form, data, itertools.repeat(1)), hear_pieces(form, data, [10**6]), atol=1e-6)


@pytest.mark.parametrize("browser", SENT)
def test_a_recorder_that_begins_again_is_heard_again(browser: str) -> None:
    form, once = SENT[browser]
    heard = hear_pieces(form, once + once, itertools.repeat(700))
    assert abs(len(heard) - 2 * len(hear_pieces(form, once, [10**6]))) <= 1


@pytest.mark.parametrize("browser", SENT)
def test_after_a_commit_it_goes_on_or_begins_anew(browser: str) -> None:
    form, data = SENT[browser]
    whole = hear_pieces(form, data, [10**6])
    intake = Intake(form)
    parts = [intake.decode(data[:3_001]), intake.flush(), intake.decode(data[3_001:3_003])]
    parts += [intake.decode(data[3_003:]), intake.flush()]
    assert abs(sum(map(len, parts)) - len(whole)) <= 2, "a commit in the middle loses nothing"
    intake.decode(data[:3_001])
    intake.flush()
    heard = [intake.decode(data[:1]), intake.decode(data[1:]), intake.flush()]
    assert np.allclose(np.concatenate(heard), whole, atol=1e-6), "nothing is left of what came before"


@pytest.mark.parametrize("browser", FEW)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_comes_it_neither_crashes_nor_grows(browser: str, data: st.DataObject) -> None:
    form, sent = SENT[browser]
    file = bytearray(sent)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(file) - 1))
        file[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    intake = Intake(form)
    reader: RecordingReader = Mp4Reader() if form is MP4 else OggReader()
    for start in range(0, len(file), 500):
        piece = bytes(file[start : start + 500])
        with contextlib.suppress(Invalid, TooLarge):
            assert np.isfinite(intake.decode(piece)).all()
        with contextlib.suppress(Invalid):
            reader.feed(piece)
        assert len(reader._rest) < 300_000


def _refused(form: AudioFormat, file: bytes, why: str) -> None:
    """It is refused so, and a new recording is heard after it."""
    intake = Intake(form)
    with pytest.raises(Invalid, match=why) as refused:
        intake.decode(file)
    assert refused.value.code == "audio_unreadable"
    with pytest.raises(Invalid, match="start a new recording"):
        intake.decode(b"more of it")
    good = next(data for each, data in SENT.values() if each is form)
    assert len(intake.decode(good)) > 14_000


@pytest.mark.parametrize("kind", ["audio/webm", "audio/ogg", "audio/mp4"])
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x1a\x45\xdf\xa3" + bytes(20), "WebM"),
        (b"OggS" + bytes(20), "Ogg"),
        (b"\0\0\0\x1cftypisom" + bytes(20), "MP4"),
        (b"RIFF\0\0\0\0WAVE", "WAV"),
        (b"fLaC\0\0\0\0", "FLAC"),
        (b"ID3\x04\0\0\0\0", "MP3"),
        (bytes(100), None),
    ],
)
def test_another_container_is_named(kind: Kind, data: bytes, name: str | None) -> None:
    intake = Intake(AudioFormat(kind, 48_000))
    own = {"WebM": "audio/webm", "Ogg": "audio/ogg", "MP4": "audio/mp4"}
    if name is not None and own.get(name) == kind:
        return
    with pytest.raises(Invalid, match=f"looks like {name}" if name else "it is another format") as refused:
        intake.decode(data)
    assert refused.value.code == ("audio_container" if name else "audio_unreadable")


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, flags: int, *content: bytes) -> bytes:
    return box(kind, flags.to_bytes(4), *content)


def track(entry: bytes, number: int = 1, handler: bytes = b"soun") -> bytes:
    table = box(b"stbl", full(b"stsd", 0, (1).to_bytes(4), entry))
    return box(
        b"trak",
        full(b"tkhd", 0, bytes(8), number.to_bytes(4), bytes(60)),
        box(b"mdia", full(b"hdlr", 0, bytes(4), handler, bytes(12)), box(b"minf", table)),
    )


def entry(kind: bytes, *boxes: bytes) -> bytes:
    return box(kind, bytes(28), *boxes)


def dops(channels: int = 1, family: int = 0, version: int = 0) -> bytes:
    return box(b"dOps", struct.pack(">BBHIhB", version, channels, 312, 48_000, 0, family))


def moov(*tracks: bytes, extends: bool = True) -> bytes:
    more = [box(b"mvex", full(b"trex", 0, struct.pack(">5I", 1, 1, 0, 0, 0)))] if extends else []
    return box(b"moov", *tracks, *more)


FTYP = box(b"ftyp", b"iso5", bytes(4))
OPUS = FTYP + moov(track(entry(b"Opus", dops())))


def fragment(*packets: bytes, offset: int | None = None, count: int | None = None, base: int = 0x020000) -> bytes:
    """A `moof` and its `mdat`."""
    sizes = b"".join(len(packet).to_bytes(4) for packet in packets)

    def described(at: int) -> bytes:
        run = struct.pack(">Ii", len(packets) if count is None else count, at)
        return box(b"moof", box(b"traf", full(b"tfhd", base, (1).to_bytes(4)), full(b"trun", 0x201, run, sizes)))

    at = len(described(0)) + 8 if offset is None else offset
    return described(at) + box(b"mdat", *packets)


class TestMp4:
    def test_packets_stand_where_their_fragment_says(self) -> None:
        file = OPUS + fragment(b"one", b"", b"three") + box(b"free", bytes(9)) + fragment(b"four")
        head, *packets = Mp4Reader().feed(file)
        assert getattr(head, "codec", None) == "opus"
        assert packets == [b"one", b"three", b"four"]

    def test_a_large_size_is_read(self) -> None:
        described, data = fragment(b"one").split(b"\0\0\0\x0bmdat")
        large = struct.pack(">I4sQ", 1, b"mdat", 16 + 3)
        shifted = described.replace((len(described) + 8).to_bytes(4), (len(described) + 16).to_bytes(4))
        assert Mp4Reader().feed(OPUS + shifted + large + data)[1:] == [b"one"]

    @pytest.mark.parametrize(
        ("file", "why"),
        [
            (FTYP + moov(track(entry(b"Opus", dops())), extends=False), "not fragmented"),
            (_muxed(_sung(0.3, 48_000), "mp4", "aac"), "comes before its description"),
            (FTYP + moov(), "no track of sound"),
            (FTYP + moov(track(entry(b"avc1"), handler=b"vide")), "no track of sound"),
            (FTYP + moov(track(entry(b"fLaC"))), "neither AAC nor Opus"),
            (FTYP + moov(track(entry(b"alac"))), "neither AAC nor Opus"),
            (_muxed(_sung(0.3, 48_000), "mp4", "libmp3lame", options=FRAGMENTED), "neither AAC nor Opus"),
            (FTYP + moov(track(entry(b"enca"))), "encrypted"),
            (FTYP + moov(track(entry(b"Opus", dops(6)))), "mono or stereo"),
            (FTYP + moov(track(entry(b"Opus", dops(2, family=1)))), "mono or stereo"),
            (FTYP + moov(track(entry(b"Opus", dops(version=1)))), "mono or stereo"),
            (FTYP + moov(track(entry(b"Opus"))), "too short"),
            (FTYP + moov(track(entry(b"mp4a"))), "too short"),
            (FTYP + moov(track(b"")), "not described"),
            (FTYP + moov(box(b"trak", box(b"mdia", full(b"hdlr", 0, bytes(4), b"soun")))), "too short"),
            (FTYP + box(b"moov", (99).to_bytes(4) + b"mvex"), "larger than what it is in"),
            (FTYP + (0).to_bytes(4) + b"free", "no valid size"),
            (FTYP + (7).to_bytes(4) + b"free", "no valid size"),
            (FTYP + (2**20).to_bytes(4) + b"moov", "at most 262144 bytes"),
            (FTYP + fragment(b"x"), "before the description"),
            (OPUS + fragment(b"x", count=2), "too short"),
            (OPUS + fragment(b"x", count=2**32 - 1), "at most 30000 packets"),
            (OPUS + fragment(b"x", offset=0), "not where its fragment says"),
            (OPUS + fragment(b"x", offset=-(2**31)), "not where its fragment says"),
            (OPUS + fragment(b"x", offset=10_000) + fragment(b"y"), "packets of a fragment are missing"),
            (OPUS + fragment(bytes(70_000)), "too long"),
            (OPUS + box(b"free") * 70_000, "boxes and packets"),
        ],
    )
    def test_what_is_broken_is_said_and_only_a_new_recording_is_read_after_it(self, file: bytes, why: str) -> None:
        _refused(MP4, file, why)

    def test_a_run_without_sizes_is_bounded(self) -> None:
        run = struct.pack(">I", 2**31)
        described = box(
            b"moof",
            box(b"traf", full(b"tfhd", 0x020010, (1).to_bytes(4), (1).to_bytes(4)), full(b"trun", 0, run)),
        )
        _refused(MP4, OPUS + described, "at most 30000 packets")

    def test_a_few_bytes_that_claim_to_be_hours_are_refused(self) -> None:
        long = b"\x1f\x02"  # two frames of 60 ms without any data
        with pytest.raises(TooLarge) as refused:
            Intake(MP4).decode(OPUS + fragment(*[long] * 10 * MAX_SECONDS))
        assert refused.value.code == "audio_too_long"

    def test_a_packet_that_is_not_opus_is_said_and_costs_only_its_piece(self) -> None:
        intake = Intake(MP4)
        with pytest.raises(Invalid, match="packet of the recording"):
            intake.decode(OPUS + fragment(b"\xff\xff\xff\xff"))
        assert len(intake.decode(fragment(*[b"\x1f\x02"] * 5))) > 8_000

    def test_what_is_passed_over_is_not_kept(self) -> None:
        reader = Mp4Reader()
        reader.feed(OPUS + struct.pack(">I4sQ", 1, b"mdat", 2**62))
        for _ in range(100):
            reader.feed(bytes(10_000))
        assert len(reader._rest) == 0


HEAD = b"OpusHead\x01\x01" + (312).to_bytes(2, "little") + (48_000).to_bytes(4, "little") + b"\0\0\0"


def page(*packets: bytes, flags: int = 0, serial: int = 7, goes_on: bool = False) -> bytes:
    """A page of whole packets, whose last may go on in the next page."""
    table = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    if goes_on:
        assert len(packets[-1]) % 255 == 0
        table = table[:-1]
    made = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, 0, 0, len(table)) + table + b"".join(packets)
    return made[:22] + checksum(made).to_bytes(4, "little") + made[26:]


BEGIN = page(HEAD, flags=2) + page(b"OpusTags")


class TestOgg:
    def test_the_checksum_is_the_one_that_ffmpeg_writes(self) -> None:
        file = SENT["Firefox"][1]
        assert page(HEAD, flags=2)[:4] == b"OggS"
        end = file.index(b"OggS", 4)
        assert checksum(file[:end]) == int.from_bytes(file[22:26], "little")

    def test_a_packet_may_go_on_in_the_next_page(self) -> None:
        file = BEGIN + page(b"one", bytes(255), goes_on=True) + page(bytes(3), b"two", flags=1)
        assert OggReader().feed(file)[1:] == [b"one", bytes(258), b"two"]

    def test_other_streams_and_long_tags_are_passed_over(self) -> None:
        tags = [page(bytes(255 * 255), flags=min(each, 1), goes_on=True) for each in range(5)]
        file = (
            page(b"\x80theora", flags=2, serial=1)
            + page(HEAD, flags=2)
            + page(HEAD, flags=2, serial=9)
            + b"".join(tags)
            + page(b"the end of the tags", b"one", flags=1)
            + page(b"a picture", serial=1)
            + page(b"", b"two")
            + page(b"another voice", serial=9)
        )
        head, *packets = OggReader().feed(file)
        assert getattr(head, "data", None) == HEAD
        assert packets == [b"one", b"two"]

    def test_a_chained_stream_is_read(self) -> None:
        file = BEGIN + page(b"one", flags=4) + page(HEAD, flags=2, serial=8) + page(b"OpusTags", b"two", serial=8)
        assert [part for part in OggReader().feed(file) if isinstance(part, bytes)] == [b"one", b"two"]

    @pytest.mark.parametrize(
        ("file", "why"),
        [
            (page(b"\x01vorbis", flags=2) + page(b"x"), "no Opus stream"),
            (page(b"\x7fFLAC", flags=2) + page(b"x"), "no Opus stream"),
            (page(b"Speex   ", flags=2) + page(b"x"), "no Opus stream"),
            (page(HEAD[:12], flags=2), "no header for mono or stereo"),
            (page(HEAD[:9] + b"\x06" + HEAD[10:18] + b"\x01", flags=2), "no header for mono or stereo"),
            (BEGIN[:-1] + b"x" + page(b"one"), "checksum"),
            (BEGIN + b"OggX" + bytes(30), "a page is broken"),
            (BEGIN + b"OggS\x01" + bytes(30), "a page is broken"),
            (BEGIN + page(b"x", flags=1), "a page is missing"),
            (BEGIN + page(bytes(255), goes_on=True) + page(b"x"), "a page is missing"),
            (
                BEGIN + page(bytes(255 * 255), goes_on=True) + page(bytes(255 * 255), flags=1, goes_on=True),
                "too long",
            ),
        ],
    )
    def test_what_is_broken_is_said_and_only_a_new_recording_is_read_after_it(self, file: bytes, why: str) -> None:
        _refused(OGG, file, why)


@pytest.mark.parametrize(
    ("form", "encode"), [("audio/mp4;codecs=mp4a.40.2", _mp4), ("audio/ogg;codecs=opus", _ogg)]
)
async def test_a_browser_is_heard_over_the_stream(
    house: House, recording: Samples, form: str, encode: Callable[[np.ndarray], bytes]
) -> None:
    await house.person()
    await house.consent("voice", "tone")
    microphone = await house.stream()
    await microphone.acknowledge()
    await microphone.send({"type": "session.update", "session": {"audio": {"input": {"format": form}}}})
    spoken = np.concatenate([recording[: 4 * 16_000], np.zeros(16_000, dtype=np.float32)])
    file = encode(soxr.resample(spoken, 16_000, 48_000))
    for start in range(0, len(file), 1_000):
        await microphone.send(file[start : start + 1_000])
    while not any(event["final"] for event in microphone.of("affect.result")):
        await microphone.until("affect.result", len(microphone.of("affect.result")) + 1)
    told = microphone.of("session.updated")[0]["session"]["audio"]["input"]["format"]
    assert told == {"type": form.split(";")[0]}
    assert microphone.of("error") == []


async def test_another_container_is_told_once_and_a_named_one_is_heard(house: House) -> None:
    await house.person()
    microphone = await house.stream()
    await microphone.send({"type": "session.update", "session": {"input_audio_format": "audio/webm"}})
    file = SENT["Safari"][1]
    for start in range(0, 3_000, 1_000):
        await microphone.send(file[start : start + 1_000])
    error = (await microphone.until("error"))["error"]
    assert error["code"] == "audio_container"
    assert "looks like MP4, not like WebM" in error["message"]
    await microphone.send({"type": "session.update", "session": {"input_audio_format": "audio/mp4"}})
    await microphone.send(file)
    await microphone.settle()
    assert [event["error"]["code"] for event in microphone.of("error")] == ["audio_container", "unknown_event"]
