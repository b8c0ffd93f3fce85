"""OpenAI's JavaScript client at its defaults: in node, and in a page of another origin."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from aiohttp import web

from assistant.audio.pcm import Samples
from tests.chat.upstream import KEY, FakeUpstream, running_upstream
from tests.clients.installing import HERE, installed_from_npm
from tests.conftest import OpenHouse
from tests.evaluate.report.test_rendered import NAMES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def packages() -> Path:
    return installed_from_npm("node")


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with running_upstream() as fake:
        yield fake


async def test_node(packages: Path, upstream: FakeUpstream, open_house: OpenHouse, recording: Samples) -> None:
    house = await open_house(words=["First words.", "Second words."], upstream_url=upstream.url, upstream_key=KEY)
    await house.person()
    file = io.BytesIO()
    soundfile.write(file, recording[: 2 * 16_000], 24_000, format="WAV", subtype="PCM_16")
    given = {"BASE": f"{house.address}/v1", "KEY": house.key, "WAV": base64.b64encode(file.getvalue()).decode()}
    process = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "-",
        cwd=packages,
        env=os.environ | given,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    script = (HERE / "node" / "check.js").read_bytes()
    try:
        said, wrong = await asyncio.wait_for(process.communicate(script), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, wrong.decode()
    got = json.loads(said)
    assert got["whole"] == got["helped"] == "Hello there."
    assert got["parts"] == ["Hello", " there."]
    assert got["model"] == got["models"][0]
    assert got["words"] == "First words."
    assert {name: told[:2] for name, told in got["errors"].items()} == {
        "key": ["AuthenticationError", 401],
        "model": ["NotFoundError", 404],
        "messages": ["BadRequestError", 400],
        "moderations": ["NotFoundError", 404],
    }
    for told in got["errors"].values():
        assert isinstance(told[2], str), "a code"
        assert told[3] == "string", "a message"
    for kind in ("session.created", "session.updated", "input_audio_buffer.committed"):
        assert kind in got["events"]


PAGE = """<!doctype html><title>a page</title><script type="module">
const say = (got) => fetch("/got", { method: "POST", body: JSON.stringify(got) });
try {
  const { default: OpenAI } = await import("/openai/index.mjs");
  const { base, key } = await (await fetch("/given")).json();
  const client = new OpenAI({ apiKey: key, baseURL: base, maxRetries: 0, dangerouslyAllowBrowser: true });
  const messages = [{ role: "user", content: "When is a train?" }];
  const parts = [];
  for await (const chunk of await client.chat.completions.create({ model: "m1", messages, stream: true })) {
    if (chunk.choices[0]?.delta?.content) parts.push(chunk.choices[0].delta.content);
  }
  await say({ parts });
} catch (error) {
  await say({ error: error.constructor.name, message: String(error.message) });
}
</script>"""


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_page_of_another_origin(
    packages: Path, upstream: FakeUpstream, open_house: OpenHouse, tmp_path: Path, allowed: bool
) -> None:
    browser = next((path for name in NAMES if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    given: dict[str, str] = {}
    got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def give(request: web.Request) -> web.Response:
        return web.json_response(given)

    async def take(request: web.Request) -> web.Response:
        got.set_result(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/given", give)
    app.router.add_post("/got", take)
    app.router.add_static("/openai", packages / "node_modules" / "openai")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    origins = origin if allowed else "https://app.example.com"
    house = await open_house(upstream_url=upstream.url, upstream_key=KEY, cors_origins=origins)
    given.update(base=f"{house.address}/v1", key=house.key)
    process = await asyncio.create_subprocess_exec(
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
        f"--user-data-dir={tmp_path / 'profile'}", origin,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        told = await asyncio.wait_for(got, 60)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await runner.cleanup()
    if allowed:
        assert told == {"parts": ["Hello", " there."]}
    else:
        assert told["message"] == "Connection error."
        assert upstream.asked == []
