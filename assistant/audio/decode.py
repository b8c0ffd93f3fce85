"""Reads audio files of any common format as samples at 16 kHz."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from assistant.arrays import Floats32
from assistant.audio import SAMPLE_RATE
from assistant.audio.channels import Downmix
from assistant.audio.pcm import Samples
from assistant.errors import Invalid

LONGEST_S = 600.0
"""Most seconds read at once: 38 MB of samples. Read a longer recording in parts."""
_BLOCK_S = 10
_BEFORE_S = 1.0
"""Decoding of a container starts this many seconds before the wanted part: decoders need a run-up."""
_UNKNOWN_FRAMES = 1 << 62
"""libsndfile gives at least so many frames where the header doesn't tell how many there are."""
_OGG_PAGE = 65_307
"""Most bytes in a page of Ogg."""
_OGG_SERIAL = slice(14, 18)
"""Where a page says of which stream it is."""
_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,avi,caf,eac3,flac,flv,g722,gsm,m4a,matroska,mov,mp3,mp4,mpeg,mpegts,nut,ogg,"
    "sln,sox,tta,voc,w64,wav,webm,wv,ape,dsf,mpc,tak"
)
"""Allowed demuxers: files that contain their own audio. Playlists, which name other files, are left out."""


def read_audio(
    file: Path | bytes,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    channel: int | None = None,
    longest_s: float = LONGEST_S,
) -> Samples:
    """Read any file that libsndfile or FFmpeg reads: mono, 16 kHz, cut to [start_s, end_s).

    `file` is its path or its content. `channel` counts from 1 (left); without it the channels are averaged.

    Only that part is decoded, in blocks. Raises `Invalid`: `file_missing`, `audio_unreadable`, `audio_empty`,
    `audio_not_finite`, `audio_channel_missing`, `audio_channels_cancel` for channels that leave almost nothing when
    they are averaged, or `audio_too_long` for more than `longest_s` seconds.
    """
    if isinstance(file, Path) and not file.is_file():
        raise Invalid(f"there is no file {file}", code="file_missing")
    name = str(file) if isinstance(file, Path) else "the recording"
    resampler: soxr.ResampleStream | None = None
    blocks: list[Samples] = []
    samples = 0
    mix = Downmix(channel, name)
    for rate, channels in _blocks(file, name, start_s, end_s, longest_s):
        block = mix.add(channels)
        if not np.isfinite(block).all():
            raise Invalid(f"{name} contains samples that are not numbers", code="audio_not_finite")
        if rate != SAMPLE_RATE:
            resampler = resampler or soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
            block = resampler.resample_chunk(block)
        blocks.append(block)
        samples += len(block)
        if samples > longest_s * SAMPLE_RATE:
            raise _too_long(name, longest_s)
    mix.check()
    if resampler is not None:
        blocks.append(resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True))
    read: Samples = np.concatenate(blocks).astype(np.float32, copy=False) if blocks else np.empty(0, np.float32)
    if not len(read):
        until = "its end" if end_s is None else f"{end_s:g} s"
        raise Invalid(f"{name} contains no audio between {start_s:g} s and {until}", code="audio_empty")
    return read


def convert_samples(samples: npt.NDArray[Any], rate: int, channel: int | None = None) -> Samples:
    """Samples as the readers take them: [samples] or [samples, channels] at `rate` Hz to mono float32 at 16 kHz.

    Whole numbers are scaled by their type's range; floats are expected in [-1, 1]. Raises `Invalid`:
    `audio_unreadable` for another shape, type or rate, `audio_not_finite`, `audio_empty`, and those of `Downmix`.
    """
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "if" or rate <= 0:
        raise Invalid(
            "samples are floats or signed integers, [samples] or [samples, channels], with a rate in Hz",
            code="audio_unreadable",
        )
    if not samples.size:
        raise Invalid("the array holds no samples", code="audio_empty")
    scale = -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0
    mix = Downmix(channel, "the array")
    mono = mix.add((samples / scale).astype(np.float32).reshape(len(samples), -1))
    if not np.isfinite(mono).all():
        raise Invalid("the array holds samples that are not numbers", code="audio_not_finite")
    mix.check()
    converted: Samples = soxr.resample(mono, rate, SAMPLE_RATE)
    return converted


def _too_long(name: str, longest_s: float) -> Invalid:
    return Invalid(
        f"{name} is longer than {longest_s:g} s: select a part with trim_start_s and trim_end_s",
        code="audio_too_long",
    )


def _blocks(
    file: Path | bytes, name: str, start_s: float, end_s: float | None, longest_s: float
) -> Iterator[tuple[int, Floats32]]:
    """The rate in Hz and samples, [samples, channels], a few seconds at a time."""
    try:
        opened = soundfile.SoundFile(io.BytesIO(file) if isinstance(file, bytes) else file)
    except soundfile.LibsndfileError as error:
        yield from _container_blocks(file, name, start_s, end_s, str(error))
        return
    try:
        with opened:
            chained = opened.format == "OGG" and _is_chained(file)
            if chained or not _tells_length(opened):
                why = "there is no audio in it"
                yield from _container_blocks(file, name, start_s, end_s, why, seek=not chained)
                return
            rate, first = opened.samplerate, min(round(start_s * opened.samplerate), opened.frames)
            left = opened.frames - first
            if end_s is not None:
                left = min(left, max(0, round((end_s - start_s) * rate)))
            if left > (longest_s + 1) * rate:
                raise _too_long(name, longest_s)
            opened.seek(first)
            while left > 0:
                read = opened.read(min(left, _BLOCK_S * rate), dtype="float32", always_2d=True)
                if not len(read):  # a header that promises more than there is
                    break
                left -= len(read)
                yield rate, read
    except (soundfile.LibsndfileError, ValueError) as error:
        raise _unreadable(name, str(error)) from error


def _tells_length(opened: soundfile.SoundFile) -> bool:
    """Whether libsndfile knows how much there is and can go to any part of it; FFmpeg reads to the end of the file.

    Writers that can't go back leave 0 or the largest number in the header. Of an MP3 without one, libsndfile
    estimates the length from the first frames and stops there. GSM and G.72x it can't seek in.
    """
    return bool(opened.format != "MP3" and opened.seekable() and 0 < opened.frames < _UNKNOWN_FRAMES)


def _is_chained(file: Path | bytes) -> bool:
    """Whether an Ogg file holds several streams one after the other, as recorded radio does.

    libsndfile stops after the first, and FFmpeg can't go to a part of a later one.
    """
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as raw:
        first = raw.read(_OGG_SERIAL.stop)
        size = raw.seek(0, io.SEEK_END)
        raw.seek(max(0, size - 2 * _OGG_PAGE))
        rest = raw.read()
    last = rest[max(0, rest.rfind(b"OggS")) :]
    return first[_OGG_SERIAL] != last[_OGG_SERIAL]


def _unreadable(name: str, why: str) -> Invalid:
    return Invalid(f"{name} cannot be read as audio: {why}", code="audio_unreadable")


def _container_blocks(
    file: Path | bytes, name: str, start_s: float, end_s: float | None, why: str, *, seek: bool = True
) -> Iterator[tuple[int, Floats32]]:
    """What libsndfile can't read (`why`): AAC, M4A, WebM, AMR, WMA, films, unknown lengths."""
    try:
        source = io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")
        with source as raw, av.open(raw, "r", options={"format_whitelist": _CONTAINERS}) as opened:
            if not opened.streams.audio:
                raise _unreadable(name, "it has no audio track")
            stream = opened.streams.audio[0]
            begins = float((stream.start_time or 0) * (stream.time_base or 0))
            if seek and start_s > _BEFORE_S:
                opened.seek(round((start_s + begins - _BEFORE_S) * av.time_base))
            floats = av.AudioResampler(format="fltp")
            at: int | None = None
            for heard in opened.decode(stream):
                for frame in floats.resample(heard):
                    rate = frame.sample_rate
                    if at is None:  # later times can be rounded: samples are counted
                        at = 0 if heard.time is None else round((heard.time - begins) * rate)
                    block: Floats32 = frame.to_ndarray().T.astype(np.float32, copy=False)
                    first = max(0, round(start_s * rate) - at)
                    last = len(block) if end_s is None else max(0, round(end_s * rate) - at)
                    at += len(block)
                    if len(part := block[first:last]):
                        yield rate, part
                    if last < len(block):
                        return
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(name, why if isinstance(error, av.InvalidDataError) else str(error)) from error
