"""`assistant demo`: a real server, a real recording, and consent that is off, then on, then withdrawn."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from assistant.audio import SAMPLE_RATE
from assistant.audio.decode import read_audio
from assistant.audio.pcm import Samples, to_pcm16
from assistant.recommend.catalogue import starter

RECORDING = Path(__file__).parent / "reading.flac"
_PERSON = "/v1/people/ada"
_MESSAGE = "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up."
_CRISIS = "I don't want to live anymore."
_GRANTS = (("text", "tone"), ("text", "content"), ("voice", "tone"), ("voice", "content"))
_FRAME_S = 0.1
_SPEED = 3.0
"""Times real time, so that the demo is over in half a minute."""

_INTRODUCTION = """\
Ada is an invented person. She writes one message, and a recording plays as her voice, three times as fast as it was
read. The server is a real one, with a new database in a temporary folder.

   mood    valence: unpleasant -1 to pleasant +1; arousal: calm -1 to excited +1; each ± its uncertainty.
           stress: a probability. The last word is the likeliest emotion.
   tone    what a language model would be told, and why (in brackets)
   offers  the first two recommendations, and why
"""

Json = dict[str, Any]


class Broken(Exception):
    """The demo saw something that Attune promises not to do."""


async def demo() -> int:
    """Tell the story; 0 if every promise was kept."""
    began = time.perf_counter()
    print(_INTRODUCTION)
    with tempfile.TemporaryDirectory(prefix="attune-demo-") as folder:
        environment = {
            **os.environ,
            "ATTUNE_DATABASE": f"sqlite:///{folder}/demo.db",
            "ATTUNE_KEYS": f"sqlite:///{folder}/keys.db",
            "ATTUNE_MASTER_KEY_FILE": f"{folder}/demo.key",
            "ATTUNE_HOST": "127.0.0.1",
            "ATTUNE_PORT": "0",
            "ATTUNE_LOG_LEVEL": "WARNING",
            "ATTUNE_MOOD_HOLDOUT": "0",  # one in ten is never ranked by their mood, which would tell nothing here
        }
        try:
            key = (await _output("keys", "create", "--app", "demo", environment=environment)).splitlines()[-1]
            async with (
                _server(environment) as address,
                aiohttp.ClientSession(address, headers={"Authorization": f"Bearer {key}"}) as client,
            ):
                await _tell(client)
        except Broken as broken:
            print(f"\n✗ {broken}")
            return 1
    print(f"\nEvery promise was kept, in {time.perf_counter() - began:.0f} s. The database is deleted.")
    print('Next: "Try it" in the README.')
    return 0


async def _start(*arguments: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "assistant", *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )


async def _output(*arguments: str, environment: dict[str, str]) -> str:
    process = await _start(*arguments, environment=environment)
    out, _ = await process.communicate()
    if process.returncode:
        raise Broken(f"`assistant {' '.join(arguments)}` failed")
    return out.decode().strip()


@asynccontextmanager
async def _server(environment: dict[str, str]) -> AsyncIterator[str]:
    process = await _start("serve", environment=environment)
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        if not line:
            raise Broken("the server did not start; its error is above")
        print(line)
        yield line.split()[-1]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _tell(client: aiohttp.ClientSession) -> None:
    await _call(client, "PUT", "/v1/catalogue", starter())
    await _call(client, "PUT", _PERSON, {"interests": ["music", "nature"]})

    _title("1. No consent: nothing is inferred")
    print(f"   Ada writes: {_MESSAGE}")
    before = await _call(client, "POST", f"{_PERSON}/messages", {"text": _MESSAGE})
    _answer(before)
    _promise(before["mood"] is None, "her message was answered without a mood")
    recording = read_audio(RECORDING)
    async with _Microphone(client) as microphone:
        await microphone.play(recording)
        await microphone.until("policy.recommendations")
        _promise(not microphone.affect, "her voice was transcribed, and no estimate was made")

        _title("2. Ada allows text and voice, for tone and content")
        for grant in _GRANTS:
            receipt = await _consent(client, *grant, granted=True)
            print(f"   allowed {receipt['means']}")
            print(f"           until {receipt['expires_at'][:10]}, receipt {receipt['receipt']}")
        allowed = await _call(client, "POST", f"{_PERSON}/messages", {"text": _MESSAGE})
        print(f"   Ada writes: {_MESSAGE}")
        _answer(allowed)
        has_mood = allowed["mood"] is not None and allowed["mood"]["abstained"] is None
        _promise(has_mood, "the same message now has a mood")
        await _why(client, allowed)
        notice = await microphone.until("policy.notice")
        print(f"   notice  {notice['about']}: shown to Ada, who acknowledges it before her voice is read")
        await microphone.send({"type": "consent.update", "acknowledge": True, "notice": notice["notice"]})
        await microphone.play(recording)
        await microphone.until("policy.recommendations")
        heard = len(microphone.affect)
        _promise(heard > 3, f"{heard} estimates from her voice")

        _title("3. She withdraws in the middle of a sentence")
        half = len(recording) // 4
        await microphone.play(recording[:half], quiet_after_s=0)
        for grant in _GRANTS:
            await _consent(client, *grant, granted=False)
        print("   withdrawn: one call for each grant")
        microphone.affect.clear()
        await microphone.play(recording[half:])
        await microphone.until("policy.recommendations")
        _promise(not microphone.affect, "the stream went on, and no estimate came after the withdrawal")
    after = await _call(client, "POST", f"{_PERSON}/messages", {"text": _MESSAGE})
    _promise(after["mood"] is None, "her message is answered without a mood again")
    _promise(after["directive"] == before["directive"], "the tone is the same as before her consent")

    _title("4. Crisis words lead to human help, with or without consent")
    print(f"   Ada writes: {_CRISIS}")
    crisis = await _call(client, "POST", f"{_PERSON}/messages", {"text": _CRISIS})
    _promise(crisis["safety"] is not None, f"help is offered: {crisis['safety']['resources'][0]}")
    await _call(client, "DELETE", _PERSON)
    print("   erased  Ada: her key is destroyed, so her data cannot be read, not even from a backup")


class _Microphone:
    """Streams audio, prints what comes back as it arrives, and counts the estimates."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._seen: list[Json] = []
        self._news = asyncio.Event()
        self.affect: list[Json] = []

    async def __aenter__(self) -> _Microphone:
        self._socket = await self._client.ws_connect("/v1/realtime", params={"person": "ada"})
        self._listener = asyncio.create_task(self._listen())
        turns = {"type": "server_vad", "silence_duration_ms": 400}
        await self.send({"type": "session.update", "session": {"audio": {"input": {"turn_detection": turns}}}})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()
        await self._listener

    async def send(self, event: Json) -> None:
        await self._socket.send_str(msgspec.json.encode(event).decode())

    async def play(self, samples: Samples, *, quiet_after_s: float = 1.0) -> None:
        """Stream, three times as fast as it was spoken, and then be quiet for a moment."""
        self._seen.clear()
        data = to_pcm16(samples) + bytes(round(2 * quiet_after_s * SAMPLE_RATE))
        step = 2 * round(_FRAME_S * SAMPLE_RATE)
        for start in range(0, len(data), step):
            await self._socket.send_bytes(data[start : start + step])
            await asyncio.sleep(_FRAME_S / _SPEED)

    async def until(self, kind: str) -> Json:
        """The first event of this kind since the playing began."""
        try:
            async with asyncio.timeout(10):
                while True:
                    for event in self._seen:
                        if event["type"] == "error":
                            raise Broken(f"the server sent an error: {event['error']['message']}")
                        if event["type"] == kind:
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Broken(f"no {kind} within ten seconds") from None

    async def _listen(self) -> None:
        async for message in self._socket:
            event = msgspec.json.decode(message.data)
            self._seen.append(event)
            self._news.set()
            match event["type"]:
                case "affect.result":
                    self.affect.append(event)
                    print(f"   {'final ' if event['final'] else '   ...'} {_mood(event['mood'])}")
                case "policy.directive":
                    _directive(event["directive"])
                case "policy.recommendations":
                    _recommendations(event["recommendations"])
                case "conversation.item.input_audio_transcription.completed":
                    print(f"   heard   {event['transcript']}")
                case "input_audio_buffer.speech_started":
                    print(f"   speech at {event['audio_start_ms'] / 1000:.1f} s")


async def _call(client: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Json:
    data = None if body is None else msgspec.json.encode(body)
    async with client.request(method, path, data=data) as answer:
        given = await answer.read()
        if answer.status >= 400:
            raise Broken(f"{method} {path} answered {answer.status}: {given.decode()}")
        return msgspec.json.decode(given, type=Json) if given else {}


async def _consent(client: aiohttp.ClientSession, modality: str, purpose: str, *, granted: bool) -> Json:
    body = {"modality": modality, "purpose": purpose, "granted": granted, "notice": "1"}
    return await _call(client, "POST", f"{_PERSON}/consent", body)


def _title(text: str) -> None:
    print(f"\n{text}\n{'─' * len(text)}")


def _promise(kept: bool, what: str) -> None:
    if not kept:
        raise Broken(f"broken promise: {what}")
    print(f"   ✓ {what}")


def _answer(answer: Json) -> None:
    print(f"   mood    {_mood(answer['mood'])}")
    _directive(answer["directive"])
    _recommendations(answer["recommendations"])


async def _why(client: aiohttp.ClientSession, answer: Json) -> None:
    """Why the first item was offered, and what comes of it."""
    decision = f"/v1/decisions/{answer['decision']}"
    ranking = (await _call(client, "GET", f"{decision}/explain"))["ranking"]
    first = ranking["items"][0]
    parts = " ".join(f"{part:+.2f} {name}" for name, part in first["parts"].items() if part)
    print(f"   why     {answer['recommendations'][0]['title']}: {first['score']:.2f} = {parts}")
    print(f"           {ranking['counterfactual']}")
    reward = await _call(client, "POST", f"{decision}/reward", {"item": first["id"], "kind": "completion"})
    print(f"   reward  she listens to the end: {reward['reward']:.0f} (stored before it is answered, counted once)")


def _directive(directive: Json) -> None:
    reasons = ", ".join(reason["code"] for reason in directive["reasons"])
    print(f"   tone    {directive['prompt']} ({reasons})")


def _recommendations(items: list[Json]) -> None:
    print("   offers ", "; ".join(f"{item['title']} ({item['reason']})" for item in items[:2]))


def _mood(mood: Json | None) -> str:
    if mood is None:
        return "none"
    if mood["abstained"]:
        return f"abstained: {mood['abstained']}"
    emotion = max(mood["emotions"], key=mood["emotions"].__getitem__)
    return (
        f"valence {mood['valence']['mean']:+.2f}±{mood['valence']['deviation']:.2f}  "
        f"arousal {mood['arousal']['mean']:+.2f}±{mood['arousal']['deviation']:.2f}  "
        f"stress {mood['stress']:.2f}  {emotion}"
    )
