"""What a model card says in words, by kind of model. The figures beside them come from the card itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """The prose of one kind of model."""

    gives: str
    """In a few words."""
    meant: tuple[str, ...]
    """Intended uses."""
    not_meant: tuple[str, ...]
    code: str
    """Python that runs as pasted; `{name}` stands for the model's."""
    evaluate: str
    """A command, or nothing."""
    floor: str
    limits: tuple[str, ...]
    reproduce: str
    """Commands."""


TEXT = Words(
    gives="emotions, sentiment, affect and stress of an English text",
    meant=(
        "Setting the tone of an assistant's answer, and ranking what it recommends, for adults who opted in.",
        "Research on moods in English text: `assistant evaluate text` runs this very model over your own file.",
        "Figures over many texts. A single reading is a guess with a stated uncertainty.",
    ),
    not_meant=(
        "Diagnosis, therapy, or finding out whether somebody is in danger: the crisis rules are separate, do not "
        "use this model, and miss some.",
        "Decisions about a person: hiring, grading, insurance, credit, policing, prices, moderation by itself.",
        "Reading people who did not agree to it, children, or people at work or in school.",
        "Other languages than English, code, or what somebody really feels: it estimates what a text expresses.",
    ),
    code="""\
from assistant import read_text

print(read_text("What a lovely evening, thank you all so much!", model="{name}"))
""",
    evaluate="assistant evaluate text --data texts.csv --task sentiment --out results",
    floor="bag of words (single words and pairs, tf-idf) with logistic regression, for affect ridge regression, "
    "on the same training rows",
    limits=(
        "Labels are other people's judgements of short, public English texts (Reddit, Twitter, film reviews, "
        "news); the writers were not asked. Private messages, other varieties of English and other years will "
        "differ.",
        "Valence is the expected sentiment (positive less negative), arousal and dominance are EmoBank's.",
        "Stress means what annotators called stress in long Reddit posts of ten communities; on short messages "
        "it was not measured.",
        "Sentiment of SST-2 has no neutral class; what lies between is learned from tweets alone.",
        "Whose feeling a text names, and whether it is meant, is read badly: see the tables on negation, irony, "
        "quotation and reported feelings.",
        "Temperatures and thresholds were chosen on development splits that also give figures above; those are a "
        "little too good.",
    ),
    reproduce="""\
python -m scripts.weights.download
python -m scripts.text.train train    # about an hour and a half on two cores
python -m scripts.text.export
python -m scripts.text.train plain    # what it is compared with
python -m scripts.text.export --weights plain --out build/text/plain
python -m scripts.text.measure --plain build/text/plain
python -m scripts.behaviour.measure
python -m scripts.crisis.measure
python -m scripts.cards.tables   # this page
""",
)

VOICE = Words(
    gives="emotions, valence, arousal and stress of speech",
    meant=(
        "Setting the tone of an assistant's answer, and ranking what it recommends, for adults who opted in and "
        "saw the notice.",
        "Research on acted emotional speech: `assistant evaluate voice` runs this very model over your own clips.",
    ),
    not_meant=(
        "Lie detection, diagnosis, or decisions about a person: hiring, grading, insurance, credit, "
        "policing, prices.",
        "Reading people who did not agree to it, children, or people at work, in school or in therapy (the server "
        "refuses these).",
        "Recognising who speaks.",
    ),
    code="""\
from assistant import read_voice
from assistant.demo.story import RECORDING  # any recording of speech will do

print(read_voice(RECORDING, model="{name}"))
""",
    evaluate="assistant evaluate voice --model models/{name} --data clips.csv --task emotion --baseline online "
    "--out results",
    floor="energy, pitch and MFCC statistics with logistic regression, on the same clips (with a baseline: without "
    "the speaker's mean); where a speaker is to be identified, chance",
    limits=(
        "It learned from actors, who show feelings more plainly than people do. Nothing here says how well it "
        "reads speech that was not acted.",
        "Stress is the probability of acted anger or fear; there is no corpus of labelled stress behind it.",
        "Without a personal baseline, voices unlike those of the training corpora are misread more often; valence "
        "reads too low in a stranger's voice.",
        "The relative reading and its baseline suppose that a person's usual voice is heard now and then: of "
        "somebody who is only ever angry, the anger becomes the usual.",
        "Several people at once are noticed where they overlap for long; taking turns is not.",
        "How the heads are built and trained was chosen on half of RAVDESS's folds and on two of the corpora left "
        "out, so figures of these are a little too good.",
        "Age, illness, accent and microphone change a voice too; no figure here says how much that matters.",
    ),
    reproduce="""\
python -m scripts.weights.download
python -m scripts.voice.export_stem     # only for a new stem: every voice model must then be trained anew
python -m scripts.voice.train --folds   # two hours on one core; runs with other --only share it
python -m scripts.voice.export && python -m scripts.voice.export --folds
python -m scripts.voice.export_stem --fp32    # what the stem is compared with
python -m scripts.voice.measure         # figures
python -m scripts.bench.voice           # milliseconds
python -m scripts.cards.tables   # this page
""",
)

STEM = Words(
    gives="the hidden states that every voice model and the transcriber start from",
    meant=(
        "What every voice model of this folder starts from: one pass over the speech, shared by all that read it.",
        "Training heads of your own: a head's card names this file's hash, and is refused behind any other stem.",
    ),
    not_meant=(
        "Reading anything by itself: it gives hidden states, no estimates.",
        "Keeping: what was said and who said it can be guessed from its states, so they are as personal as the "
        "audio. The server never stores them.",
    ),
    code="""\
from assistant.audio.decode import read_audio
from assistant.config import shipped_models
from assistant.demo.story import RECORDING  # any recording of speech will do
from assistant.inference.model import open_model

stem = open_model(shipped_models() / "stem")
three_seconds = read_audio(RECORDING)[None, :48_000]
encoded = stem.run({"audio": three_seconds})
print(encoded["states"].shape, encoded["loudness"].min())  # (1, 150, 3, 512): frames, layers, width
""",
    evaluate="",
    floor="",
    limits=(
        "Not measured by itself: the figures of the voice models are its figures too.",
        "Loudness is relative to the loudest moment of the same clip, so that the microphone's gain plays no part; "
        "noise does.",
        "Its products are int8 but for the spectrum, the first convolution and the last product. On processors "
        "without VNNI or AMX sums may saturate: `assistant models check` shows it.",
    ),
    reproduce="""\
python -m scripts.weights.download
python -m scripts.voice.export_stem
python -m scripts.cards.tables   # this page
""",
)

VAD = Words(
    gives="the probability of speech, every 32 ms",
    meant=(
        "Finding where somebody speaks in a live stream, so that only speech is read, transcribed and kept short.",
    ),
    not_meant=("Anything where missed speech does harm: some screams are taken for noise.",),
    code="""\
import numpy as np
from assistant.config import shipped_models
from assistant.inference.model import open_model

model = open_model(shipped_models() / "vad")
silence = {"samples": np.zeros((1, 64 + 3 * 512), "float32"), "state": np.zeros((2, 1, 128), "float32")}
print(model.run(silence)["probabilities"])  # of speech in each of three chunks, behind 64 samples of context
""",
    evaluate="",
    floor="",
    limits=(
        "Not measured here beyond its likeness to the original: over a recording no probability differs by 1e-5.",
        "Of the 400 sounds of ESC-10, 21 sound like speech for long enough to start a turn, of 98 others 6; 9 "
        "of 150 commands of one word are missed. A longer start would lose more words than sounds.",
        "Two or three of the 24 angry clips of RAVDESS actors 16 to 18 are taken for noise.",
    ),
    reproduce="""\
python -m scripts.weights.download
python -m scripts.voice.export_vad
python -m scripts.cards.tables   # this page
""",
)

TRANSCRIBER = Words(
    gives="the words of speech, in 99 languages",
    meant=(
        "Turning what somebody says to an assistant into words, while they speak and at the end of the utterance.",
        "Speech that the stem of the voice has heard already: one pass serves voice and words.",
    ),
    not_meant=(
        "Records that must be right: names, numbers and rare words are often wrong, and a wrong word looks as sure "
        "as a right one.",
        "Telling who speaks, or when each word was said.",
        "Anything about feelings: it gives words alone, and asks for no consent to estimate a mood.",
    ),
    code="""\
import asyncio
from concurrent.futures import ThreadPoolExecutor
from assistant.audio.decode import read_audio
from assistant.audio.encoder import Encoder
from assistant.audio.transcribe import Transcriber
from assistant.config import shipped_models
from assistant.demo.story import RECORDING  # any recording of speech will do
from assistant.inference.batcher import Batcher
from assistant.inference.model import open_model

names = "stem", "transcriber-encoder", "{name}"
stem, encoder, decoder = (open_model(shipped_models() / name) for name in names)


async def words(speech):
    with ThreadPoolExecutor(1) as pool:
        heard = await Encoder(Batcher(stem, pool)).encode(speech)
        return await Transcriber(stem.card, encoder, decoder, pool).transcribe(heard)


print(asyncio.run(words(read_audio(RECORDING, end_s=7.1))))
""",
    evaluate="",
    floor="Whisper base as published, in fp32 over 30 s, on the same clips; less is better in all",
    limits=(
        "It is Whisper base: larger models make far fewer errors, above all outside English.",
        "The stem hears the speech without the silence up to 30 s that Whisper was trained with; in English this "
        "costs little, in German more.",
        "Speech is read in stretches of up to 15 s, and knows nothing of what was said before.",
        "In noise or music it may make words up; a text that is unlikely where silence is likely is dropped.",
        "The language is guessed from the first sounds, and badly from a word or two: name it where it is known.",
        "Activations are rounded with a scale of the utterance's own, so other processors may choose another word "
        "where two are about as likely.",
    ),
    reproduce="""\
python -m scripts.weights.download
python -m scripts.transcriber.export
python -m scripts.transcriber.measure
python -m scripts.cards.tables   # this page
""",
)

TRANSCRIBER_ENCODER = Words(
    gives="the first half of the transcriber",
    meant=(
        "The first half of the transcriber, behind the stem; once for each utterance, while its decoder runs for "
        "each token.",
    ),
    not_meant=(
        "Reading anything by itself: it gives what the decoder attends to.",
        "Keeping: the words can be read from it.",
    ),
    code="""\
import numpy as np
from assistant.audio.decode import read_audio
from assistant.config import shipped_models
from assistant.demo.story import RECORDING  # any recording of speech will do
from assistant.inference.model import open_model

stem, encoder = (open_model(shipped_models() / name) for name in ("stem", "{name}"))
states = stem.run({"audio": read_audio(RECORDING)[None, :48_000]})["states"][0, :, -1]
found = encoder.run({"states": np.ascontiguousarray(states)})
print(found["value_0"].shape, found["value_0"].std())  # (8, 400, 64): heads, frames and 5 s of silence, width
""",
    evaluate="",
    floor="",
    limits=(
        "Not measured by itself: the transcriber's figures are its figures too.",
        "The silence behind the speech is stored, as the stem gives it on average, not heard.",
    ),
    reproduce="""\
python -m scripts.weights.download
python -m scripts.transcriber.export
python -m scripts.cards.tables   # this page
""",
)

WORDS: Mapping[str, Words] = {
    "text": TEXT,
    "voice": VOICE,
    "stem": STEM,
    "vad": VAD,
    "transcriber": TRANSCRIBER,
    "transcriber-encoder": TRANSCRIBER_ENCODER,
}
