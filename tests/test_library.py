"""The library's door: `from assistant import read_voice, read_text` reads one recording or one text."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import assistant
from assistant import read_text, read_voice
from assistant.config import shipped_models
from assistant.demo.story import RECORDING
from assistant.emotion import Abstention, Reading
from assistant.errors import AssistantError
from tests.conftest import ROOT


def _voice(found: Reading | Abstention) -> Reading:
    assert isinstance(found, Reading)
    assert found.modality == "voice"
    assert sum(found.emotions.values()) == pytest.approx(1)
    return found


def test_a_recording_is_read_alike_from_its_path_its_content_and_its_samples() -> None:
    samples, rate = soundfile.read(RECORDING, dtype="float32")
    whole = soundfile.read(RECORDING, dtype="int16")[0]
    first = _voice(read_voice(RECORDING))
    for other in (
        read_voice(str(RECORDING)),
        read_voice(RECORDING.read_bytes()),
        read_voice(samples, rate),
        read_voice(whole, rate),
        read_voice(np.stack([samples, samples], axis=1), rate),
    ):
        assert _voice(other).valence.mean == pytest.approx(first.valence.mean, abs=1e-5)


def test_an_array_of_another_rate_is_resampled() -> None:
    samples, rate = soundfile.read(RECORDING, dtype="float32")
    doubled = np.repeat(samples, 2)
    assert _voice(read_voice(doubled, 2 * rate)).stress == pytest.approx(
        _voice(read_voice(RECORDING)).stress, abs=0.1
    )


def test_a_text_is_read_with_its_uncertainty() -> None:
    found = read_text("What a lovely evening, thank you all so much!")
    assert isinstance(found, Reading)
    assert found.modality == "text"
    assert found.valence.mean > 0.5
    assert found.valence.deviation > 0
    assert max(found.emotions, key=lambda name: found.emotions[name]) == "joy"


def test_a_model_is_named_or_is_a_folder() -> None:
    named = _voice(read_voice(RECORDING, model="voice-open"))
    assert named == _voice(read_voice(RECORDING, model=shipped_models() / "voice-open"))
    assert named == _voice(read_voice(RECORDING, model="voice-open", models=str(shipped_models())))
    assert named.model != _voice(read_voice(RECORDING)).model


async def test_both_work_inside_an_event_loop_as_in_a_notebook() -> None:
    assert isinstance(read_text("What a lovely evening!"), Reading)
    assert isinstance(read_voice(RECORDING), Reading)


def test_where_there_is_no_estimate_the_abstention_says_why() -> None:
    assert read_text("") == Abstention("text", "empty")
    assert read_voice(np.zeros(16_000, np.float32), 16_000) == Abstention("voice", "too_quiet")
    assert read_voice(np.ones(100, np.float32), 16_000) == Abstention("voice", "too_short")


def test_what_cannot_be_read_is_an_error_with_a_code(tmp_path: Path) -> None:
    one_second = np.zeros(16_000, np.float32)

    def code(clip: str | Path | bytes | np.ndarray[Any, Any], rate: int | None = None, model: str = "voice") -> str:
        with pytest.raises(AssistantError) as raised:
            read_voice(clip, rate, model=model)
        return raised.value.code

    assert code(tmp_path / "none.wav") == "file_missing"
    assert code(b"no audio at all") == "audio_unreadable"
    assert code(one_second) == "rate_missing"
    assert code(one_second, 0) == "audio_unreadable"
    assert code(one_second.reshape(1, 1, -1), 16_000) == "audio_unreadable"
    assert code(one_second.astype(str), 16_000) == "audio_unreadable"
    assert code(one_second[:0], 16_000) == "audio_empty"
    assert code(np.full(16_000, np.nan, np.float32), 16_000) == "audio_not_finite"
    assert code(RECORDING, model="none") == "model_missing"
    assert code(RECORDING, model="text") == "model_invalid"
    with pytest.raises(AssistantError) as raised:
        read_text("hello", models=tmp_path)
    assert raised.value.code == "model_missing"


def test_importing_the_package_loads_neither_numpy_nor_a_model() -> None:
    heavy = {"numpy", "onnxruntime", "aiohttp", "assistant.evaluate"}
    script = f"import sys, assistant; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert assistant.__version__ == project["version"]
