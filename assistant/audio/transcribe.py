"""The transcriber: its languages, the rest of Whisper's encoder behind the shared stem, and its decoder."""

from __future__ import annotations

import asyncio
import threading
import time
import unicodedata
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from assistant.arrays import Floats32
from assistant.audio.encoder import States
from assistant.audio.hypothesis import Attempt, best_attempt, is_silence, looping_tokens, most_tokens
from assistant.errors import Busy, Invalid, ModelInvalid
from assistant.inference.card import Card, check_stem
from assistant.inference.model import Array, Model

_ALIASES = {
    "nb": "no", "iw": "he", "in": "id", "ji": "yi", "jv": "jw", "fil": "tl", "cmn": "zh", "mo": "ro",
    "eng": "en", "deu": "de", "ger": "de", "fra": "fr", "fre": "fr", "spa": "es", "ita": "it", "por": "pt",
    "nld": "nl", "dut": "nl", "rus": "ru", "zho": "zh", "chi": "zh", "jpn": "ja", "kor": "ko", "ara": "ar",
    "hin": "hi", "tur": "tr", "pol": "pl", "ukr": "uk", "swe": "sv",
}  # fmt: skip
"""Other codes of the same languages: ISO 639-1 and -3 where they differ from Whisper's."""
_NAMES = {
    "english": "en", "chinese": "zh", "mandarin": "zh", "german": "de", "spanish": "es", "russian": "ru",
    "korean": "ko", "french": "fr", "japanese": "ja", "portuguese": "pt", "turkish": "tr", "polish": "pl",
    "catalan": "ca", "dutch": "nl", "arabic": "ar", "swedish": "sv", "italian": "it", "indonesian": "id",
    "hindi": "hi", "finnish": "fi", "vietnamese": "vi", "hebrew": "he", "ukrainian": "uk", "greek": "el",
    "malay": "ms", "czech": "cs", "romanian": "ro", "danish": "da", "hungarian": "hu", "tamil": "ta",
    "norwegian": "no", "thai": "th", "urdu": "ur", "croatian": "hr", "bulgarian": "bg", "lithuanian": "lt",
    "latin": "la", "maori": "mi", "malayalam": "ml", "welsh": "cy", "slovak": "sk", "telugu": "te",
    "persian": "fa", "farsi": "fa", "latvian": "lv", "bengali": "bn", "serbian": "sr", "azerbaijani": "az",
    "slovenian": "sl", "kannada": "kn", "estonian": "et", "macedonian": "mk", "breton": "br", "basque": "eu",
    "icelandic": "is", "armenian": "hy", "nepali": "ne", "mongolian": "mn", "bosnian": "bs", "kazakh": "kk",
    "albanian": "sq", "swahili": "sw", "galician": "gl", "marathi": "mr", "punjabi": "pa", "sinhala": "si",
    "khmer": "km", "shona": "sn", "yoruba": "yo", "somali": "so", "afrikaans": "af", "occitan": "oc",
    "georgian": "ka", "belarusian": "be", "tajik": "tg", "sindhi": "sd", "gujarati": "gu", "amharic": "am",
    "yiddish": "yi", "lao": "lo", "uzbek": "uz", "faroese": "fo", "pashto": "ps", "turkmen": "tk",
    "nynorsk": "nn", "maltese": "mt", "sanskrit": "sa", "luxembourgish": "lb", "burmese": "my", "tibetan": "bo",
    "tagalog": "tl", "filipino": "tl", "malagasy": "mg", "assamese": "as", "tatar": "tt", "hawaiian": "haw",
    "lingala": "ln", "hausa": "ha", "bashkir": "ba", "javanese": "jw", "sundanese": "su", "deutsch": "de",
    "francais": "fr", "espanol": "es", "italiano": "it", "portugues": "pt", "nederlands": "nl", "svenska": "sv",
    "polski": "pl", "turkce": "tr",
}  # fmt: skip
_DETECT = ("", "auto", "detect", "und", "mul")
_SHOWN = 12


def find_language(given: str, known: Collection[str]) -> str | None:
    """The code of a language that is given as a BCP-47 tag or by name; None: detect it.

    Raises `Invalid` (`unknown_language`), whose message lists some that are known.

    >>> [find_language(given, ("de", "en", "pt")) for given in ("en-US", "pt_BR", "English", "deu", "", "auto")]
    ['en', 'pt', 'en', 'de', None, None]
    """
    plain = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode().strip().lower()
    if plain in _DETECT and given.isascii():
        return None
    first = plain.replace("_", "-").partition("-")[0]
    for code in (plain, first, _ALIASES.get(first), _NAMES.get(plain)):
        if code in known:
            return code
    some = ", ".join(sorted(known)[:_SHOWN])
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    raise Invalid(f"this language can't be transcribed; known are {some}{more}", code="unknown_language")


def language_name(code: str) -> str:
    """The English name of a language, as OpenAI's API tells it; the code where there is none.

    >>> language_name("de"), language_name("yue")
    ('german', 'yue')
    """
    return next((name for name, each in _NAMES.items() if each == code), code)


_FRAMES = 50
"""Frames per second of the stem's output."""
_HOTTER = (0.2, 0.6, 1.0)
"""Temperatures to try, one after another, if the most probable tokens make a poor text."""
_SEED = 0
_CHECKED = 16
"""Tokens after which loops are looked for."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of one stretch of speech."""

    text: str
    """Empty if nobody seems to speak."""
    language: str
    """Whisper's code, such as `en`."""
    language_probability: float
    """1 where the caller named the language."""
    no_speech: float
    """The probability that nobody speaks."""
    log_probability: float
    """Natural logarithm, mean over the tokens that were decoded; also where the text was dropped."""
    temperature: float
    """0 where the likeliest token was taken each time."""
    ended: bool
    """False if the decoder had to be stopped; the end of the text may be missing or wrong."""


class Vocabulary:
    """A model folder's tokenizer, with the tokens that steer Whisper."""

    def __init__(self, folder: Path, suppressed: Sequence[int]) -> None:
        """Raises `ModelInvalid` where the tokenizer is missing or is not Whisper's."""
        file = folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exception
            raise ModelInvalid(f"{file} can't be read", code="model_missing") from error
        self.size = self._tokenizer.get_vocab_size(True)
        self.start, self.end = self._id("startoftranscript"), self._id("endoftext")
        self.silent, self.task = self._id("nospeech", "nocaptions"), self._id("transcribe")
        self.untimed = self._id("notimestamps")
        between = range(self.start + 1, self._id("translate"))
        self.languages = {str(self._tokenizer.id_to_token(token)).strip("<|>"): token for token in between}
        self.barred = np.array([*suppressed, *range(self.end + 1, self.size)])
        """Tokens that are never decoded: marks of music and speakers, and all control tokens."""
        self.barred_first = np.array([self._tokenizer.token_to_id("Ġ"), self.end])
        """Tokens that cannot come first."""

    def text(self, tokens: Sequence[int]) -> str:
        """Decode these tokens as text."""
        return str(self._tokenizer.decode(list(tokens))).strip()

    def _id(self, *names: str) -> int:
        for name in names:
            if (found := self._tokenizer.token_to_id(f"<|{name}|>")) is not None:
                return int(found)
        raise ModelInvalid(f"the tokenizer has no {names[0]}: it is not Whisper's")


class Transcriber:
    """Transcribes the output of the stem. Each call is one job of the pool, which stops at its deadline.

    A job takes tens of milliseconds per second of speech, so it should not share its pool with work that is awaited
    frame by frame. `clock` gives seconds.
    """

    def __init__(
        self,
        stem: Card,
        encoder: Model,
        decoder: Model,
        pool: Executor,
        *,
        max_waiting: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises `ModelInvalid` for models that don't belong together or are not a transcriber."""
        check_stem(encoder.card, stem)
        try:
            suppressed = [int(token) for token in decoder.card.data["suppressed"]]
            self._most, wanted = int(decoder.card.data["max_tokens"]), decoder.card.data["encoder_sha256"]
            layers, heads, _, size = decoder.card.inputs["past"].shape
        except (KeyError, TypeError, ValueError) as error:
            raise ModelInvalid(f"{decoder.card.folder} is not a transcriber: {error!r}") from error
        if wanted != encoder.card.sha256:
            raise ModelInvalid(
                f"{decoder.card.name} ({decoder.card.folder}) belongs to an encoder with sha256 {wanted}, not to "
                f"{encoder.card.name} ({encoder.card.folder}) with {encoder.card.sha256}"
            )
        self._nothing = np.zeros((int(layers), int(heads), 0, int(size)), np.float32)
        self._words = Vocabulary(decoder.card.folder, suppressed)
        self._encoder, self._decoder, self._pool = encoder, decoder, pool
        self._max_waiting, self._clock, self._waiting = max_waiting, clock, 0

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that can be named, such as `en`."""
        return tuple(self._words.languages)

    async def transcribe(
        self, heard: States, *, language: str | None = None, partial: bool = False, budget_s: float = 5.0
    ) -> Transcript:
        """Transcribe the stem's output for one stretch of speech; without `language` the language is detected.

        With `partial` a poor text is not decoded again: while somebody speaks, the next hypothesis comes soon.
        Raises `Invalid` (`unknown_language`) for a language that Whisper has no code for, and `Busy`: with code
        `busy` if too many calls wait, `late` if `budget_s` seconds pass first.
        """
        if language is not None and language not in self._words.languages:
            raise Invalid(f"the language {language[:20]!r} cannot be transcribed", code="unknown_language")
        if self._waiting >= self._max_waiting:
            raise Busy("too many transcriptions are waiting")
        job = _Job(self._clock, self._clock() + budget_s)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._transcribe, heard, language, partial, job)
        finally:
            job.abandoned.set()  # where the caller went away, the job ends at its next token
            self._waiting -= 1

    def _transcribe(self, heard: States, language: str | None, partial: bool, job: _Job) -> Transcript:
        words = self._words
        job.check()
        cross = self._encoder.run({"states": np.ascontiguousarray(heard.states[:, -1])})
        begin = _Memory(self._decoder, cross, self._nothing)
        job.check()
        first = _softmax(begin.step([words.start]))
        codes = list(words.languages)
        spoken = first[list(words.languages.values())]
        language_probability = 1.0 if language else float(spoken.max() / spoken.sum())
        language = language or codes[int(spoken.argmax())]
        job.check()
        logits = begin.step([words.languages[language], words.task, words.untimed])
        most = most_tokens(len(heard.states) / _FRAMES, self._most)
        attempts: list[Attempt] = []
        for temperature in (0.0, *(() if partial else _HOTTER)):
            try:
                attempts.append(self._attempt(replace(begin), logits, temperature, most, job))
            except Busy:
                if not attempts:
                    raise
                break  # better the poor text than none
            if not attempts[-1].poor:
                break
        chosen, no_speech = best_attempt(attempts), float(first[words.silent])
        return Transcript(
            text="" if is_silence(no_speech, chosen.log_probability) else chosen.text,
            language=language,
            language_probability=language_probability,
            no_speech=no_speech,
            log_probability=chosen.log_probability,
            temperature=chosen.temperature,
            ended=chosen.ended,
        )

    def _attempt(self, memory: _Memory, logits: Floats32, temperature: float, most: int, job: _Job) -> Attempt:
        """Decode to the end, a loop, or `most` tokens. Draws are the same each time for the same speech."""
        words, random = self._words, np.random.default_rng(_SEED)
        tokens: list[int] = []
        total, redundant, ended = 0.0, 0, False
        while True:
            logits[words.barred] = -np.inf
            if not tokens:
                logits[words.barred_first] = -np.inf
            chances = _log_softmax(logits)
            token = _draw_token(logits / temperature, random) if temperature else int(chances.argmax())
            total += float(chances[token])
            ended = token == words.end
            if ended or len(tokens) == most:
                break
            tokens.append(token)
            if len(tokens) >= _CHECKED and (redundant := looping_tokens(tokens)):
                break
            job.check()
            logits = memory.step([token])
        spoken = tokens[: len(tokens) - redundant]
        return Attempt(tuple(spoken), words.text(spoken), total / (len(tokens) + 1), temperature, ended)


@dataclass(slots=True)
class _Job:
    clock: Callable[[], float]
    deadline: float
    abandoned: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise `Busy` if nobody waits for the result any more."""
        if self.abandoned.is_set() or self.clock() > self.deadline:
            raise Busy("there was no transcript in time", code="late")


@dataclass(slots=True)
class _Memory:
    """State of the decoder between two tokens."""

    model: Model
    cross: dict[str, Array]
    """Keys and values of the speech."""
    past: Array
    """Keys and values of the tokens so far, [2 * layers, heads, tokens, width / heads]; replaced, never changed."""

    def step(self, tokens: Sequence[int]) -> Floats32:
        """Decode these tokens and return the logits of the next one, [vocabulary]."""
        found = self.model.run({"tokens": np.array(tokens, np.int64), "past": self.past, **self.cross})
        self.past = found["present"]
        return np.asarray(found["logits"][0], np.float32)


def _draw_token(logits: Floats32, random: np.random.Generator) -> int:
    whole = np.cumsum(_softmax(logits), dtype=np.float64)
    return int(np.searchsorted(whole, random.uniform(0, whole[-1]), side="right"))


def _log_softmax(logits: Floats32) -> Floats32:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def _softmax(logits: Floats32) -> Floats32:
    return np.asarray(np.exp(_log_softmax(logits)))
