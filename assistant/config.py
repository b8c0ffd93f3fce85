"""Settings: a TOML file overridden by `ATTUNE_*` in the environment, checked once, then frozen."""

from __future__ import annotations

import difflib
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from assistant.errors import ConfigInvalid


def shipped_models() -> Path:
    """The folder of the shipped models: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "models"


_PREFIX = "ATTUNE_"
_OF_TESTS = ("ATTUNE_DATA",)
"""Variables of the tests and scripts, which set nothing here."""
NO_LIMIT = "none"
"""The value of a rate setting for no limit."""
ANY_ORIGIN = "*"
ANY_ORIGIN_WITH_KEY = "* authorization"

RATE = re.compile(
    rf"{NO_LIMIT}|(?P<amount>[1-9]\d{{0,8}})/(?:(?P<count>[1-9]\d{{0,4}}) ?)?(?P<unit>second|minute|hour|day)s?",
    re.ASCII,
)
_ORIGIN = r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?"
_ORIGINS = rf"\*|\* authorization|\s*(?:{_ORIGIN}(?:\s+|\Z))*"
_ISSUER = r"(?:https://[^\s/?#@]+|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?)(?:/[^\s?#]*)?"
_UPSTREAM = r"https?://[^\s/?#@]+(?:/[^\s?#]*)?"


def is_issuer(url: str) -> bool:
    """Whether keys may be fetched from here: over https, or from this machine.

    >>> is_issuer("https://id.example.com/realm"), is_issuer("http://localhost:8080"), is_issuer("http://example.com")
    (True, True, False)
    """
    return re.fullmatch(_ISSUER, url) is not None


def _matches(pattern: str, description: str) -> Meta:
    return Meta(pattern=rf"^(?:{pattern})\Z", description=description)


_FINITE = sys.float_info.max
Positive = Annotated[float, Meta(gt=0, le=_FINITE, description="a finite number greater than 0")]
Amount = Annotated[float, Meta(ge=0, le=_FINITE, description="a finite number of at least 0")]
Share = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]
PositiveCount = Annotated[int, Meta(gt=0, description="a whole number greater than 0")]
Count = Annotated[int, Meta(ge=0, description="a whole number of at least 0")]
Port = Annotated[int, Meta(ge=0, le=65535, description="a whole number from 0 to 65535")]
_DATABASE = r"(?:sqlite:///|postgres(?:ql)?://)[\s\S]*"
DatabaseUrl = Annotated[str, _matches(_DATABASE, "like sqlite:///FILE or postgresql://USER@HOST/NAME")]
RateSetting = Annotated[str, _matches(RATE.pattern, f"like 600/minute, or `{NO_LIMIT}`")]
_ORIGIN_LIST = (
    f"origins like https://app.example.com, separated by spaces, or `{ANY_ORIGIN}`, or `{ANY_ORIGIN_WITH_KEY}`"
)
OriginList = Annotated[str, _matches(_ORIGINS, _ORIGIN_LIST)]
IssuerUrl = Annotated[str, _matches(rf"(?:{_ISSUER})?", "an https URL; http only on this machine")]
UpstreamUrl = Annotated[
    str, _matches(rf"(?:{_UPSTREAM})?", "like https://HOST/v1, without a user, query or fragment")
]
PublicUrl = Annotated[
    str, _matches(rf"(?:{_UPSTREAM})?", "like https://HOST or https://HOST/PATH, without a user, query or fragment")
]


def _setting(group: str, default: Any, doc: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc, "group": group}, repr=not secret)


_storage = partial(_setting, "Storage")
_server = partial(_setting, "Server")
_models = partial(_setting, "Models")
_consent = partial(_setting, "Consent")
_mood = partial(_setting, "Mood")
_retention = partial(_setting, "Retention")
_streams = partial(_setting, "Streams")
_upstream = partial(_setting, "Upstream")
_chat = partial(_setting, "Chat")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Each has an environment variable: `ATTUNE_` and its name in capitals."""

    # fmt: off
    database: DatabaseUrl = _storage("sqlite:///attune.db",
        "database of people, consent and decisions; for several servers postgresql://USER:PASSWORD@HOST/NAME")
    keys: DatabaseUrl = _storage("sqlite:///attune-keys.db",
        "database of the people's keys; never back it up, or erased data could be restored")
    master_key_file: Path = _storage(Path("attune.key"),
        "file of the master key, which wraps the keys of all people; the server does not start without it")
    master_key: str = _storage("",
        "the master key itself in hexadecimal, instead of the file; several comma-separated, newest first",
        secret=True)
    host: str = _server("127.0.0.1", "address to listen on")
    port: Port = _server(8080, "port to listen on; 0: a free one")
    models: Path = _models(Path(), "folder of model folders; empty: the shipped models")
    text_model: str = _models("text", "folder name of the text model")
    voice_model: str = _models("voice",
        "folder name of the voice model; `voice-open` was trained only on freely licensed corpora")
    transcriber_model: str = _models("transcriber",
        "folder name of the transcriber, which needs the stem of the voice model; `none`: no transcription")
    affect: Literal["present", "absent"] = _models("present",
        "`present`, or `absent`: a server without any affect model")
    notice: str = _consent("1", "version of the consent notice; after a new version people are asked again")
    grant_days: PositiveCount = _consent(365, "days until a grant expires")
    mood_half_life_s: Positive = _mood(32.0,
        "seconds after which a reading's valence counts half; arousal, stress and emotions in proportion")
    mood_expires_s: Positive = _mood(900.0, "seconds after which a mood expires")
    mood_days: Positive = _retention(30.0, "days that a mood history is kept, for those who grant `remember`")
    baseline_days: Positive = _retention(365.0, "days that a baseline is kept since it last changed")
    decision_days: Positive = _retention(365.0, "days that decisions are kept")
    access_days: Positive = _retention(365.0, "days that the access log is kept")
    mood_holdout: Share = _mood(0.1,
        "share of people whose recommendations never use the mood, so that its effect is always measured")
    affect_budget_ms: PositiveCount = _mood(250,
        "milliseconds that a reply waits for the text reader; then it is sent without a reading")
    update_budget_ms: PositiveCount = _mood(150,
        "milliseconds that a voice estimate may be late while the person speaks; a later one is dropped, "
        "because a newer one follows")
    max_body_bytes: PositiveCount = _server(1_048_576, "largest HTTP body")
    max_recording_bytes: PositiveCount = _server(26_214_400, "largest file to transcribe")
    max_append_bytes: PositiveCount = _streams(15_728_640, "largest base64 `append` event")
    max_streams: PositiveCount = _streams(1000, "largest number of live WebSocket streams")
    max_streams_per_app: PositiveCount = _streams(512, "largest number of live WebSocket streams of one app")
    stream_idle_s: Positive = _streams(300.0, "seconds without a frame after which a stream is closed")
    stream_longest_s: Positive = _streams(3600.0, "seconds after which a stream is closed in any case")
    stream_write_s: Positive = _streams(10.0,
        "seconds that a client may leave events unread before it is disconnected")
    rate_app: RateSetting = _server("60000/minute",
        "request limit of each app, counted by each process alone; `none`: no limit")
    rate_person: RateSetting = _server("1200/minute",
        "request limit for each person, by key or by their token; `none`: no limit")
    cors_origins: OriginList = _server("",
        "origins of web pages that may call the API, separated by spaces; `*`: any page may call what needs "
        "no key; `* authorization`: any page may call everything")
    oidc_issuer: IssuerUrl = _server("", "URL of the operators' identity provider; empty: none")
    oidc_audience: str = _server("", "audience that an operator's token must name")
    exceptions: Path = _consent(Path(), "file of signed exceptions for medical or safety reasons; empty: none")
    exceptions_key: str = _consent("", "the operator's public Ed25519 key that signs them, in hexadecimal")
    public_url: PublicUrl = _server("",
        "URL at which the public reaches this server, with the path before `/v1` where a proxy takes one away; "
        "checks of signatures need it where a proxy changes host or path; empty: as the `Host` header says")
    twilio_auth_token: str = _server("",
        "auth token of the Twilio account: every call on `/v1/twilio` must then be signed with it; several "
        "separated by commas while one takes the place of another; empty: not checked",
        secret=True)
    upstream_url: UpstreamUrl = _upstream("",
        "URL of an OpenAI-compatible chat server, such as http://localhost:8000/v1; empty: the embedded replier")
    upstream_key: str = _upstream("", "the API key for that server", secret=True)
    upstream_model: str = _upstream("",
        "the model of that server to use, whatever a request names; empty: the one that it names")
    upstream_connect_s: Positive = _upstream(3.0, "most seconds to connect")
    upstream_first_s: Positive = _upstream(30.0,
        "most seconds until the first token of a stream, all attempts together")
    upstream_between_s: Positive = _upstream(20.0, "most seconds between two tokens of a stream")
    upstream_total_s: Positive = _upstream(300.0, "most seconds for a whole completion")
    upstream_retries: Count = _upstream(2, "how often a request is repeated if no byte of an answer came; 0: never")
    chat_tone_placement: Literal["auto", "own", "first_system", "first_user", "developer"] = _chat("auto",
        "how the tone reaches the upstream: `own`, a system message before all others; `first_system`, added to "
        "the first system or developer message, if there is one; `first_user`, in the first user message, marked "
        "off from the user's words; `developer`, a message of that role; `auto`: what the upstream takes")
    chat_tokens_app: Count = _chat(0,
        "chat tokens that an app may use in a day (UTC), counted by each process; 0: no limit")
    chat_tokens_person: Count = _chat(0,
        "chat tokens that one person may use in a day (UTC), counted by each process; 0: no limit")
    chat_cost_app: Amount = _chat(0.0,
        "most that the chat of an app may cost in a day, in the currency of the prices; 0: no limit")
    chat_cost_person: Amount = _chat(0.0,
        "most that the chat of one person may cost in a day, in the currency of the prices; 0: no limit")
    price_prompt: Amount = _chat(0.0, "price of a million prompt tokens")
    price_completion: Amount = _chat(0.0, "price of a million completion tokens")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _server("INFO",
        "lowest level that is logged: DEBUG, INFO, WARNING or ERROR")
    # fmt: on

    def __post_init__(self) -> None:
        for name in _TYPES:
            _convert(name, getattr(self, name))
        if self.database == self.keys:
            raise ConfigInvalid("keys and database must be different databases, or a backup would contain both")
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise ConfigInvalid("set oidc_issuer and oidc_audience together, or neither")

    @property
    def models_folder(self) -> Path:
        """The folder of model folders."""
        return self.models if self.models.parts else shipped_models()


_TYPES: Mapping[str, Any] = get_type_hints(Settings, include_extras=True)
"""The declared type of each setting, with what it allows."""


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the file, then let the environment override it.

    Raises `ConfigInvalid` naming the setting, for unknown names and for values that are not allowed.

    >>> load_settings(None, {"ATTUNE_PORT": "9000"}).port
    9000
    >>> load_settings(None, {"ATTUNE_PORT": "many"})
    Traceback (most recent call last):
    assistant.errors.ConfigInvalid: port must be a whole number from 0 to 65535, not 'many'
    """
    given: dict[str, Any] = {}
    if file is not None:
        try:
            given = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigInvalid(f"can't read the settings file {file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigInvalid(f"{file} is not TOML: {error}") from error
    for name in given:
        if name not in _TYPES:
            raise ConfigInvalid(f"{file} has an unknown setting {name!r}")
    for key, value in environment.items():
        setting = _setting_of(key)
        if setting is not None and not _is_set_by_kubernetes(key, value):
            given[setting] = value
    return Settings(**{name: _convert(name, value) for name, value in given.items()})


def _setting_of(variable: str) -> str | None:
    """The setting that an environment variable sets."""
    name = variable.removeprefix(_PREFIX).lower()
    return name if variable.startswith(_PREFIX) and name in _TYPES else None


def _is_set_by_kubernetes(variable: str, value: str) -> bool:
    """Kubernetes tells every container of each Service; of one named `attune` in variables like ours.

    Source: Kubernetes, "Service", "Environment variables", which follow the links of Docker.

    >>> _is_set_by_kubernetes("ATTUNE_PORT", "tcp://10.0.0.1:8080"), _is_set_by_kubernetes("ATTUNE_PORT", "8080")
    (True, False)
    """
    return variable.startswith(_PREFIX) and (
        re.fullmatch(r"(?:tcp|udp|sctp)://\S+", value.strip()) is not None
        or re.search(r"_SERVICE_(?:HOST|PORT)(?:_\w+)?\Z|_PORT_\d+_(?:TCP|UDP|SCTP)_", variable) is not None
    )


def passed_over(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that looks like one of ours and sets nothing.

    >>> passed_over({"ATTUNE_PROT": "80", "ATTUNE_PORT": "tcp://10.0.0.1:80", "ATTUNE_SERVICE_HOST": "10.0.0.1"})
    ['ATTUNE_PROT sets nothing; did you mean ATTUNE_PORT?', 'ATTUNE_PORT sets nothing: Kubernetes gives it for a \
Service named attune']
    """
    known = [f"{_PREFIX}{name.upper()}" for name in _TYPES]
    said = []
    for key, value in environment.items():
        if _is_set_by_kubernetes(key, value):
            if _setting_of(key) is not None:
                said.append(f"{key} sets nothing: Kubernetes gives it for a Service named attune")
        elif _is_like_ours(key) and _setting_of(key) is None and key not in _OF_TESTS:
            near = difflib.get_close_matches(key.upper(), known, n=1, cutoff=0.8)
            if near:
                said.append(f"{key} sets nothing; did you mean {near[0]}?")
            elif key.startswith(_PREFIX):
                said.append(f"{key} sets nothing; `assistant settings` lists what there is")
    return said


def _is_like_ours(variable: str) -> bool:
    """Whether somebody who wrote this meant a setting.

    >>> [_is_like_ours(name) for name in ("ATTUNE_PROT", "attune_port", "ATUNE_PORT", "ATTUNE", "PORT")]
    [True, True, True, False, False]
    """
    prefix, underscore, _ = variable.partition("_")
    return bool(underscore) and difflib.SequenceMatcher(None, prefix.upper(), _PREFIX[:-1]).ratio() > 0.9


def default_text(setting: Field[Any]) -> str:
    """The default of a setting as it would be written in the environment."""
    return "" if setting.default == Path() else str(setting.default)


def settings_table() -> str:
    """Markdown: for each group a table of its settings with environment variable, default and meaning."""
    groups: dict[str, list[str]] = {}
    for setting in fields(Settings):
        default = default_text(setting)
        groups.setdefault(setting.metadata["group"], []).append(
            f"| `ATTUNE_{setting.name.upper()}` | {f'`{default}`' if default else ''} | {setting.metadata['doc']} |"
        )
    return "\n\n".join(
        "\n".join([f"## {group}", "", "| variable | default | meaning |", "|---|---|---|", *rows])
        for group, rows in groups.items()
    )


def _convert(name: str, value: Any) -> Any:
    """A value as the setting's type; text is parsed, other kinds are not converted. Raises `ConfigInvalid`."""
    declared = _TYPES[name]
    kind = get_args(declared)[0] if get_origin(declared) is Annotated else declared
    parsed = value.strip() if isinstance(value, str) and kind in (int, float) else value
    try:
        return msgspec.convert(parsed, declared, strict=not isinstance(value, str), dec_hook=_new)
    except msgspec.ValidationError:
        # a text may hold a password, so it is not repeated
        given = "" if kind is str else f", not {value!r}"
        raise ConfigInvalid(f"{name} must be {_allowed(declared)}{given}") from None


def _new(kind: Callable[[Any], Any], value: Any) -> Any:
    """A value of a type that msgspec does not know: `Path`."""
    return kind(value)


def _allowed(declared: Any) -> str:
    """What a setting of this type may be, in words.

    >>> _allowed(Literal["a", "b", "c"]), _allowed(str), _allowed(Share)
    ('`a`, `b` or `c`', 'a string', 'a number from 0 to 1')
    """
    if get_origin(declared) is Literal:
        *others, last = (f"`{choice}`" for choice in get_args(declared))
        return f"{', '.join(others)} or {last}"
    if get_origin(declared) is Annotated:
        return next(str(meta.description) for meta in declared.__metadata__)
    return {str: "a string", Path: "a path"}[declared]
