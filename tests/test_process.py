"""The server as a process: what it loads, how much memory it takes, what a kill costs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from assistant.cli import main
from assistant.config import load_settings, shipped_models
from assistant.inference.card import read_card
from assistant.services import open_services
from assistant.store.keys import make_master_key
from assistant.store.storage import open_storage
from tests.conftest import ROOT, OpenHouse

HEAVY = ("torch", "transformers", "librosa", "pandas", "sklearn", "scipy", "av")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ATTUNE_DATABASE": f"sqlite:///{tmp_path}/attune.db",
        "ATTUNE_KEYS": f"sqlite:///{tmp_path}/keys.db",
        "ATTUNE_MASTER_KEY_FILE": f"{tmp_path}/attune.key",
        "ATTUNE_PORT": "0",
    }


def _assistant(*arguments: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "assistant", *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def _new_key(environment: dict[str, str]) -> str:
    """Make the master key, the databases and an app; returns its API key."""
    settings = load_settings(None, environment)
    make_master_key(settings.master_key_file)

    async def made() -> str:
        async with open_storage(settings, clock=time.time, new_id=lambda: "id") as storage:
            return await storage.apps.create_key("a", "general")

    return asyncio.run(made())


@contextlib.contextmanager
def _server(
    environment: dict[str, str], largest_file: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "assistant", "serve"], env=environment, stdout=subprocess.PIPE, text=True
    )
    if largest_file is not None:
        psutil.Process(process.pid).rlimit(psutil.RLIMIT_FSIZE, (largest_file, largest_file))
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _call(address: str, key: str, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        address + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def test_serving_imports_no_training_library(environment: dict[str, str]) -> None:
    _new_key(environment)
    code = """
import asyncio, os, sys
from assistant.config import load_settings
from assistant.server.app import running
from assistant.services import open_services
from assistant.store.keys import make_master_key
from assistant.store.storage import open_storage

async def serve():
    async with open_services(load_settings(None, os.environ)) as services, running(services):
        assert {services.health()[part] for part in ("vad", "text", "voice")} == {"ready"}

asyncio.run(serve())
print(" ".join(sys.modules))
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout.split()
    assert "onnxruntime" in loaded
    assert not [name for name in HEAVY if name in loaded]


def test_a_server_writes_nothing_outside_its_own_files(environment: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**environment, "HOME": str(home), "TMPDIR": str(home)}
    for name in ("ORT_DISABLE_TELEMETRY", "CI", "XDG_CACHE_HOME"):  # the first is set in this process already
        environment.pop(name, None)
    key = _new_key(environment)
    with _server(environment) as (_, address):
        _call(address, key, "PUT", "/v1/people/ada", {})
        grant = {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}
        _call(address, key, "POST", "/v1/people/ada/consent", grant)
        assert _call(address, key, "POST", "/v1/people/ada/messages", {"text": "What a lovely day"})["mood"]
    assert list(home.rglob("*")) == []


def test_an_idle_server_takes_less_than_500_mb_and_a_killed_one_loses_nothing(environment: dict[str, str]) -> None:
    key = _new_key(environment)
    grant = {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}
    with _server(environment) as (process, address):
        assert _call(address, key, "GET", "/readyz")["status"] == "ready"
        assert psutil.Process(process.pid).memory_info().rss < 500e6
        _call(address, key, "PUT", "/v1/people/ada", {"interests": ["music"]})
        receipt = _call(address, key, "POST", "/v1/people/ada/consent", grant)
        process.kill()
    with _server(environment) as (_, address):
        assert _call(address, key, "GET", "/v1/people/ada")["profile"]["interests"] == ["music"]
        shown = _call(address, key, "GET", "/v1/people/ada/consent")
        assert [r["receipt"] for r in shown["receipts"]] == [receipt["receipt"]]
        message = {"text": "I am so worried about tomorrow"}
        assert _call(address, key, "POST", "/v1/people/ada/messages", message)["mood"] is not None


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="this system can't limit the size of files")
def test_a_full_disk_is_said_and_nothing_that_was_acknowledged_is_lost(environment: dict[str, str]) -> None:
    environment |= {"ATTUNE_AFFECT": "absent"}  # it starts sooner
    key = _new_key(environment)
    kept: list[str] = []

    def fill(address: str) -> None:
        for number in range(1_000):
            _call(address, key, "PUT", f"/v1/people/p{number}", {"interests": ["x" * 60] * 60})
            kept.append(f"p{number}")

    with _server(environment, largest_file=300_000) as (_, address):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fill(address)
        assert refused.value.status == 503
        assert json.loads(refused.value.read())["code"] == "storage_failed"
        assert kept, "there was room for some"
        assert _call(address, key, "GET", f"/v1/people/{kept[0]}")["person"] == kept[0]
        refused.value.close()
        with pytest.raises(urllib.error.HTTPError) as unready:
            _call(address, key, "GET", "/readyz")
        assert json.loads(unready.value.read())["parts"]["storage"] == "unavailable"
        unready.value.close()
        said = {"text": "I want to kill myself"}
        assert _call(address, key, "POST", f"/v1/people/{kept[0]}/messages", said)["safety"]["resources"]
    with _server(environment) as (_, address):
        assert _call(address, key, "GET", "/readyz")["parts"]["storage"] == "ready"
        for name in kept:
            assert _call(address, key, "GET", f"/v1/people/{name}")["person"] == name
        _call(address, key, "PUT", "/v1/people/after", {})


def test_a_server_without_a_master_key_says_what_to_do(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["serve"]) == 1
    assert "master_key_missing" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ATTUNE_AFFECT", "absent")
    assert main(["keys", "create", "--app", "a"]) == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 1
    assert "address_unavailable" in capsys.readouterr().err


def test_keys_create_makes_what_is_missing_and_prints_the_key_alone_on_its_last_line(
    environment: dict[str, str],
) -> None:
    key = _assistant("keys", "create", "--app", "a", environment=environment).splitlines()[-1]
    assert key.startswith("att_")
    assert len(key.split()) == 1
    master = Path(environment["ATTUNE_MASTER_KEY_FILE"])
    assert master.stat().st_mode & 0o077 == 0

    async def who() -> str:
        async with open_services(load_settings(None, environment | {"ATTUNE_AFFECT": "absent"})) as services:
            return (await services.storage.apps.authenticate(key)).app.name

    assert asyncio.run(who()) == "a"


async def test_the_models_route_names_the_readers_that_are_loaded_and_the_embedded_replier(
    open_house: OpenHouse,
) -> None:
    house = await open_house()
    told = await house.call("GET", "/v1/models")
    assert (told["object"], [model["id"] for model in told["data"]]) == ("list", ["attune-embedded"])
    assert [(reader["id"], reader["kind"]) for reader in told["readers"]] == [("text", "text"), ("voice", "voice")]
    for reader in told["readers"]:
        card = read_card(shipped_models() / reader["id"])
        assert (reader["version"], reader["licence"]) == (card.data["version"], card.licence)
        assert reader["sha256"] == card.sha256
    await house.call("GET", "/v1/models", status=401, headers={})
    absent = await open_house(affect="absent")
    assert await absent.call("GET", "/v1/models") == told | {"readers": []}
    assert "/v1/models" in (await absent.call("GET", "/openapi.json"))["paths"]


def test_models_check_finds_a_head_whose_stem_is_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shipped_models() / "voice", tmp_path / "voice")
    assert main(["models", "check", "--models", str(tmp_path)]) == 1
    assert "model_missing" in capsys.readouterr().out
    shutil.copytree(shipped_models() / "vad", tmp_path / "stem")
    assert main(["models", "check", "--models", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    for folder in (shipped_models() / "stem", tmp_path / "stem"):
        assert read_card(folder).sha256 in said


def test_models_list_and_check_pass_for_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert main(["models", "check"]) == 0
    said = capsys.readouterr().out
    for name in ("text", "stem", "transcriber", "transcriber-encoder", "voice", "voice-open", "vad"):
        assert f"\n{name:<20} ok" in said


@pytest.mark.slow
def test_the_wheel_carries_everything_and_works_in_any_directory(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    root = ROOT
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, root],
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {"assistant/py.typed", "assistant/recommend/starter.json", "assistant/models/text/card.toml"} <= names
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", installed, *tmp_path.glob("*.whl")],
        check=True,
        capture_output=True,
    )
    done = subprocess.run(
        [sys.executable, "-c", "import assistant, sys; from assistant.cli import main; print(assistant.__file__);"
         "sys.exit(main(['models', 'check']) or main(['demo']))"],
        env=environment | {"PYTHONPATH": str(installed)},
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(installed) in done.stdout.splitlines()[0]
    assert "Every promise was kept" in done.stdout
    assert list(elsewhere.iterdir()) == []
