"""Settings: a TOML file overridden by `ATTUNE_*` in the environment, checked once, then frozen."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from assistant.errors import ConfigInvalid

_UPSTREAM = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")


def shipped_models() -> Path:
    """Where the shipped models lie: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "models"


NO_LIMIT = "none"
"""In the place of a rate."""
ANY_ORIGIN = "*"
ANY_ORIGIN_WITH_KEY = "* authorization"

RATE = re.compile(
    rf"{NO_LIMIT}|(?P<amount>[1-9][0-9]{{0,8}})/(?:(?P<count>[1-9][0-9]{{0,4}}) ?)?(?P<unit>second|minute|hour|day)s?"
)
_ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_ISSUER = re.compile(r"(?:https://[^\s/?#@]+|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?)(?:/[^\s?#]*)?")


def is_issuer(url: str) -> bool:
    """Whether keys may be fetched from here: over https, or from this machine.

    >>> is_issuer("https://id.example.com/realm"), is_issuer("http://localhost:8080"), is_issuer("http://example.com")
    (True, True, False)
    """
    return _ISSUER.fullmatch(url) is not None


def _setting(default: Any, doc: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc}, repr=not secret)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Each has an environment variable: `ATTUNE_` and its name in capitals."""

    database: str = _setting("sqlite:///attune.db", "where people, consent and decisions are kept")
    keys: str = _setting("sqlite:///attune-keys.db", "where each person's key is kept; never back this one up")
    master_key_file: Path = _setting(Path("attune.key"), "the key that wraps all person keys")
    master_key: str = _setting(
        "",
        "the key itself, in hexadecimal, in place of the file; several apart by commas, the newest first",
        secret=True,
    )
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8080, "port to listen on; 0 takes a free one")
    models: Path = _setting(Path(), "folder of model folders; empty means the shipped ones")
    text_model: str = _setting("text", "folder name of the text model")
    voice_model: str = _setting(
        "voice", "folder name of the voice model; `voice-open` was trained only on freely licensed corpora"
    )
    transcriber_model: str = _setting(
        "transcriber", "folder name of the transcriber, which needs the stem of the voice; `none`: no transcription"
    )
    affect: str = _setting("present", "`present`, or `absent`: a server without any affect model")
    notice: str = _setting("1", "version of the notice that people answer; a new one asks again")
    grant_days: int = _setting(365, "days until a grant expires")
    mood_half_life_s: float = _setting(
        32.0, "seconds after which a reading's valence counts half; arousal, stress and emotions in proportion"
    )
    mood_expires_s: float = _setting(900.0, "seconds after which a mood is gone")
    mood_days: float = _setting(30.0, "days that a mood history is kept, for those who grant `remember`")
    baseline_days: float = _setting(365.0, "days that a baseline is kept since it last changed")
    decision_days: float = _setting(365.0, "days that decisions are kept")
    access_days: float = _setting(365.0, "days that the access log is kept")
    mood_holdout: float = _setting(
        0.1, "share of people whose recommendations never know the mood, so that its worth is always measured"
    )
    affect_budget_ms: int = _setting(250, "how long a reply waits for the text reader before it goes without")
    update_budget_ms: int = _setting(
        150,
        "how late an estimate of the voice may be while somebody speaks; a later one is dropped, a newer follows",
    )
    max_body_bytes: int = _setting(1_048_576, "largest HTTP body, and largest base64 `append` event")
    max_streams: int = _setting(1000, "most live WebSocket streams")
    max_streams_per_app: int = _setting(512, "most live WebSocket streams of one app")
    stream_idle_s: float = _setting(300.0, "seconds without a frame after which a stream is closed")
    stream_longest_s: float = _setting(3600.0, "seconds after which a stream is closed in any case")
    stream_write_s: float = _setting(10.0, "seconds that a client may leave events unread before it is dropped")
    rate_app: str = _setting("60000/minute", "most requests of an app in a time, of each process; `none`: no limit")
    rate_person: str = _setting(
        "1200/minute", "most requests about one person, or by their token; `none`: no limit"
    )
    cors_origins: str = _setting(
        "",
        "origins of web pages that may call, apart by spaces; `*`: any, to what needs no key; "
        "`* authorization`: any, to everything",
    )
    oidc_issuer: str = _setting("", "URL of the identity provider of operators; empty: none")
    oidc_audience: str = _setting("", "what an operator's token must be meant for")
    exceptions: Path = _setting(Path(), "file of signed exceptions for medical or safety reasons; empty: none")
    exceptions_key: str = _setting("", "the operator's public Ed25519 key that signs them, in hexadecimal")
    upstream_url: str = _setting(
        "", "an OpenAI-compatible server that chats, such as http://localhost:8000/v1; empty: the embedded replier"
    )
    upstream_key: str = _setting("", "the key that it asks for", secret=True)
    upstream_model: str = _setting("", "which of its models answers, whatever a request names; empty: as requested")
    upstream_connect_s: float = _setting(3.0, "seconds until it must be connected")
    upstream_first_s: float = _setting(30.0, "seconds until the first token of a stream, all tries together")
    upstream_between_s: float = _setting(20.0, "seconds between two tokens of a stream")
    upstream_total_s: float = _setting(300.0, "seconds until a completion must be whole")
    upstream_retries: int = _setting(2, "how often it is tried again where not a byte of an answer came; 0: never")
    chat_tokens_app: int = _setting(0, "most tokens of chat of an app in a day, of each process; 0: no limit")
    chat_tokens_person: int = _setting(0, "the same of one person")
    chat_cost_app: float = _setting(0.0, "most that an app's chat may cost in a day, in the currency of the prices")
    chat_cost_person: float = _setting(0.0, "the same of one person")
    price_prompt: float = _setting(0.0, "price of a million tokens that are sent")
    price_completion: float = _setting(0.0, "price of a million tokens that are answered")
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR")

    def __post_init__(self) -> None:
        if self.affect not in ("present", "absent"):
            raise ConfigInvalid(f"affect must be `present` or `absent`, not {self.affect!r}")
        if not 0 <= self.port <= 65535:
            raise ConfigInvalid(f"port must lie between 0 and 65535, not {self.port}")
        for name in ("database", "keys"):
            if not str(getattr(self, name)).startswith(("sqlite:///", "postgresql://")):
                raise ConfigInvalid(f"{name} must look like sqlite:///FILE or postgresql://USER@HOST/NAME")
        if self.database == self.keys:
            raise ConfigInvalid("keys must be another database than database, or a backup would hold both")
        if not 0 <= self.mood_holdout <= 1:
            raise ConfigInvalid(f"mood_holdout must lie between 0 and 1, not {self.mood_holdout}")
        for name in ("mood_days", "baseline_days", "decision_days", "access_days", "grant_days",
                     "mood_half_life_s", "mood_expires_s", "affect_budget_ms", "update_budget_ms",
                     "max_body_bytes", "max_streams", "max_streams_per_app",
                     "stream_idle_s", "stream_longest_s", "stream_write_s"):  # fmt: skip
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise ConfigInvalid(f"{name} must be greater than 0 and finite")
        for name in ("rate_app", "rate_person"):
            if not RATE.fullmatch(getattr(self, name)):
                raise ConfigInvalid(f"{name} must look like 600/minute, or be `{NO_LIMIT}`")
        if self.cors_origins not in (ANY_ORIGIN, ANY_ORIGIN_WITH_KEY):
            for origin in self.cors_origins.split():
                if not _ORIGIN.fullmatch(origin):
                    raise ConfigInvalid(
                        f"cors_origins has {origin!r}; an origin looks like https://app.example.com"
                    )
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise ConfigInvalid("oidc_issuer and oidc_audience go together")
        if self.oidc_issuer and not is_issuer(self.oidc_issuer):
            raise ConfigInvalid("oidc_issuer must be an https URL; http only on this machine")
        if self.upstream_url and not _UPSTREAM.fullmatch(self.upstream_url):
            raise ConfigInvalid("upstream_url must look like https://HOST/v1, without a user, query or fragment")
        for name in ("upstream_connect_s", "upstream_first_s", "upstream_between_s", "upstream_total_s"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise ConfigInvalid(f"{name} must be greater than 0 and finite")
        for name in ("upstream_retries", "chat_tokens_app", "chat_tokens_person", "chat_cost_app",
                     "chat_cost_person", "price_prompt", "price_completion"):  # fmt: skip
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise ConfigInvalid(f"{name} must be at least 0 and finite")
        if self.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ConfigInvalid(f"log_level must be DEBUG, INFO, WARNING or ERROR, not {self.log_level!r}")

    @property
    def models_folder(self) -> Path:
        """The folder of model folders."""
        return self.models if self.models.parts else shipped_models()


_KINDS: dict[str, type] = {"str": str, "int": int, "float": float, "Path": Path}


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the file, then let the environment override it.

    Raises `ConfigInvalid` naming the setting, for unknown names and for values of the wrong kind.

    >>> load_settings(None, {"ATTUNE_PORT": "9000"}).port
    9000
    >>> load_settings(None, {"ATTUNE_PORT": "many"})
    Traceback (most recent call last):
    assistant.errors.ConfigInvalid: port must be an int, not 'many'
    """
    given: dict[str, Any] = {}
    if file is not None:
        try:
            given = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigInvalid(f"can't read the settings file {file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigInvalid(f"{file} is not TOML: {error}") from error
    known = {f.name: f for f in fields(Settings)}
    for name in given:
        if name not in known:
            raise ConfigInvalid(f"{file} has an unknown setting {name!r}")
    for key, value in environment.items():
        name = key.removeprefix("ATTUNE_").lower()
        if key.startswith("ATTUNE_") and name in known:
            given[name] = value
    return replace(Settings(), **{name: _convert(name, str(known[name].type), v) for name, v in given.items()})


def _convert(name: str, kind: str, value: Any) -> Any:
    try:
        if isinstance(value, bool) or (kind == "int" and isinstance(value, float)):
            raise TypeError
        return _KINDS[kind](value)
    except (TypeError, ValueError):
        raise ConfigInvalid(f"{name} must be an {kind}, not {value!r}") from None
