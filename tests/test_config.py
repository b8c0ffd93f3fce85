"""Settings: documented, overridden by the environment, and checked once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import Field, FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import main
from assistant.config import Settings, load_settings, passed_over, shipped_models
from assistant.errors import ConfigInvalid
from tests.conftest import ROOT

PAGE = ROOT / "assistant" / "SETTINGS.md"
Write = Callable[[str], Path]
every_setting = pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)


@pytest.fixture
def toml(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        file = tmp_path / "attune.toml"
        file.write_text(text)
        return file

    return write


@every_setting
def test_each_setting_says_what_it_is_for(setting: Field[Any]) -> None:
    assert len(setting.metadata["doc"]) > 10


def test_each_setting_is_on_its_page_by_its_environment_name() -> None:
    text = PAGE.read_text(encoding="utf-8")
    names = [f"ATTUNE_{setting.name.upper()}" for setting in fields(Settings)]
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


def test_the_page_of_settings_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8")


@every_setting
def test_each_setting_can_be_given_in_the_environment(setting: Field[Any]) -> None:
    default = getattr(Settings(), setting.name)
    loaded = load_settings(None, {f"ATTUNE_{setting.name.upper()}": str(default)})
    assert getattr(loaded, setting.name) == default
    assert type(getattr(loaded, setting.name)) is type(default)


def test_the_defaults_are_those_that_are_documented() -> None:
    settings = load_settings(None, {})
    assert settings == Settings()
    assert (settings.database, settings.host, settings.port) == ("sqlite:///attune.db", "127.0.0.1", 8080)
    assert (settings.affect, settings.notice) == ("present", "1")
    assert settings.models_folder == shipped_models()


def test_a_file_sets_and_the_environment_overrides_it(toml: Write) -> None:
    file = toml('port = 9000\nhost = "0.0.0.0"\nmood_half_life_s = 30\nmodels = "m"\n')
    settings = load_settings(file, {"ATTUNE_PORT": "9001", "PORT": "1", "HOME": "/"})
    assert (settings.port, settings.host, settings.mood_half_life_s) == (9001, "0.0.0.0", 30.0)
    assert isinstance(settings.mood_half_life_s, float)
    assert settings.models_folder == Path("m")


def test_an_unknown_setting_in_the_file_is_named(toml: Write) -> None:
    with pytest.raises(ConfigInvalid, match="'prot'") as refused:
        load_settings(toml("prot = 9000"), {})
    assert refused.value.code == "config_invalid"


def test_what_others_keep_in_the_environment_is_left_alone() -> None:
    assert load_settings(None, {"ATTUNE_CI_WORKER": "7", "ATTUNE": "1"}) == Settings()


SET_NOTHING = [
    ("ATTUNE_PROT", "9000", "did you mean ATTUNE_PORT?"),
    ("ATTUNE_DATABASE_URL", "sqlite:///a.db", "did you mean ATTUNE_DATABASE?"),
    ("ATTUNE_UPSTREAM_API_KEY", "canary", "did you mean ATTUNE_UPSTREAM_KEY?"),
    ("ATTUNE__PORT", "9000", "did you mean ATTUNE_PORT?"),
    ("attune_port", "9000", "did you mean ATTUNE_PORT?"),
    ("ATUNE_PORT", "9000", "did you mean ATTUNE_PORT?"),
    ("ATTUNE_COLOUR", "canary", "`assistant settings` lists"),
    ("ATTUNE_PORT", "tcp://10.0.0.1:8080", "Kubernetes"),
    ("ATTUNE_KEYS", "tcp://10.0.0.1:8080", "Kubernetes"),
]


@pytest.mark.parametrize(("name", "value", "says"), SET_NOTHING, ids=[name for name, _, _ in SET_NOTHING])
def test_a_variable_that_sets_nothing_is_said(name: str, value: str, says: str) -> None:
    assert load_settings(None, {name: value}) == Settings()
    (said,) = passed_over({name: value})
    assert said.startswith(f"{name} sets nothing")
    assert says in said
    assert "canary" not in said


def test_what_is_set_or_belongs_to_others_is_passed_over_in_silence() -> None:
    kubernetes = {
        "ATTUNE_SERVICE_HOST": "10.0.0.1",
        "ATTUNE_SERVICE_PORT_HTTP": "8080",
        "ATTUNE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "ATTUNE_PORT_8080_TCP_ADDR": "10.0.0.1",
        "ATTUNE_KEYS_PORT": "tcp://10.0.0.2:1",
    }
    others = {"ATTUNE": "1", "PORT": "80", "ATTIC_PORT": "1", "TUNE_PORT": "1", "ATTUNE_DATA": "/data"}
    set_here = {f"ATTUNE_{setting.name.upper()}": "x" for setting in fields(Settings)}
    assert passed_over(kubernetes | others | set_here) == []


def test_every_command_that_reads_settings_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("ATTUNE_PROT", "9000")
    monkeypatch.setenv("ATTUNE_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("ATTUNE_DATABASE", f"sqlite:///{tmp_path / 'a.db'}")
    assert main(["migrate"]) == 0
    said = caplog.text
    assert said.count("ATTUNE_PROT sets nothing; did you mean ATTUNE_PORT?") == 1
    assert said.count("ATTUNE_PORT sets nothing: Kubernetes") == 1


WRONG = [
    ("port", "many"),
    ("port", "80.5"),
    ("port", "-1"),
    ("port", "65536"),
    ("affect", "off"),
    ("database", "attune.db"),
    ("database", "mysql://localhost/attune"),
    ("keys", "memory"),
    ("grant_days", "0"),
    ("grant_days", "a year"),
    ("mood_half_life_s", "0"),
    ("mood_half_life_s", "nan"),
    ("mood_expires_s", "-1"),
    ("mood_expires_s", "inf"),
    ("affect_budget_ms", "0"),
    ("update_budget_ms", "0"),
    ("max_body_bytes", "0"),
    ("max_streams", "0"),
    ("max_streams_per_app", "0"),
    ("stream_idle_s", "0"),
    ("stream_longest_s", "inf"),
    ("stream_write_s", "-1"),
    ("log_level", "LOUD"),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value}" for name, value in WRONG])
def test_a_value_that_can_not_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigInvalid, match=name) as refused:
        load_settings(None, {f"ATTUNE_{name.upper()}": value})
    assert refused.value.code == "config_invalid"


ALLOWED = [
    ("port", "65536", "port must be a whole number from 0 to 65535, not '65536'"),
    ("affect", "off", "affect must be `present` or `absent`, not 'off'"),
    ("mood_expires_s", "inf", "mood_expires_s must be a finite number greater than 0, not 'inf'"),
    ("database", "mysql://u:secret@h/n", "database must be like sqlite:///FILE or postgresql://USER@HOST/NAME"),
    ("rate_app", "many", "rate_app must be like 600/minute, or `none`"),
]


@pytest.mark.parametrize(("name", "value", "message"), ALLOWED, ids=[name for name, _, _ in ALLOWED])
def test_a_refusal_says_what_is_allowed_and_never_repeats_a_text(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        load_settings(None, {f"ATTUNE_{name.upper()}": value})
    assert refused.value.message == message


def test_a_number_where_a_text_belongs_is_refused(toml: Write) -> None:
    with pytest.raises(ConfigInvalid, match=r"^notice must be a string$"):
        load_settings(toml("notice = 1"), {})


@pytest.mark.parametrize("line", ["port = [1]", "port = true", "port = 8080.5", "models = 5", "grant_days = {}"])
def test_a_value_of_the_wrong_kind_in_the_file_is_refused_by_name(toml: Write, line: str) -> None:
    with pytest.raises(ConfigInvalid, match=line.split()[0]):
        load_settings(toml(line), {})


def test_a_file_that_is_missing_or_no_toml_is_refused_by_name(toml: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"none\.toml"):
        load_settings(tmp_path / "none.toml", {})
    with pytest.raises(ConfigInvalid, match="not TOML"):
        load_settings(toml("port = = 1"), {})


def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigInvalid, match=r"binary\.toml"):
        load_settings(file, {})


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]
