"""`assistant catalogue load` gives an app something to recommend, and a server without any says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from assistant.cli import main
from assistant.recommend.catalogue import Catalogue, starter


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_DATABASE", f"sqlite:///{tmp_path}/attune.db")
    monkeypatch.setenv("ATTUNE_KEYS", f"sqlite:///{tmp_path}/keys.db")
    monkeypatch.setenv("ATTUNE_MASTER_KEY_FILE", f"{tmp_path}/attune.key")
    assert main(["keys", "create", "--app", "a"]) == 0


def test_the_starter_catalogue_or_a_file_replaces_what_the_app_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalogue", "load", "--starter", "--app", "a"]) == 0
    assert capsys.readouterr().out == "a can recommend 60 items\n"
    (tmp_path / "one.json").write_bytes(msgspec.json.encode(Catalogue("2", starter().items[:1])))
    assert main(["catalogue", "load", str(tmp_path / "one.json"), "--app", "a"]) == 0
    assert capsys.readouterr().out == "a can recommend 1 items; a running server uses it after a restart\n"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "file_missing"),
        (b"", "catalogue_unreadable"),
        (b'{"version": "1", "items": [{"id": 1}]}', "catalogue_unreadable"),
        (b'{"version": "1", "items": [{"id": "", "title": "x", "kind": "tip"}]}', "item_id"),
    ],
)
def test_a_file_that_is_no_good_catalogue_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / "bad.json").write_bytes(content)
    assert main(["catalogue", "load", str(tmp_path / "bad.json"), "--app", "a"]) == 1
    assert f"[{code}]" in capsys.readouterr().err


def test_an_app_that_is_unknown_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "load", "--starter", "--app", "other"]) == 1
    assert "[app_unknown]" in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_says_at_its_start_which_app_can_recommend_nothing() -> None:
    assert main(["keys", "create", "--app", "b"]) == 0
    assert main(["catalogue", "load", "--starter", "--app", "a"]) == 0
    environment = {**os.environ, "ATTUNE_PORT": "0", "ATTUNE_AFFECT": "absent"}
    command = [sys.executable, "-m", "assistant", "serve"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = next(line for line in server.stderr if "catalogue" in line)
        server.terminate()
        assert "the app b has no catalogue" in said
        assert "`assistant catalogue load --starter --app b`" in said
        assert not [line for line in server.stderr if "the app a has" in line]
