"""Every error code of the package: its family, what it means and what to do. A test holds this table to the code.

The API's documents and the page `server/ERRORS.md` are made from it. A code keeps its name for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assistant import errors


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code in one family: a code that stands in two families has an entry for each."""

    code: str
    family: type[errors.AssistantError]
    meaning: str
    remedy: str
    """What the caller can do."""


_Table = Mapping[type[errors.AssistantError], Mapping[str, tuple[str, str]]]

_OF_SERVER: _Table = {
    errors.Invalid: {
        "invalid_request": ("the request does not have the shape that the API describes",
            "compare it with /openapi.json"),
        "unsupported_parameter": ("the request asks for what this server does not have",
            "leave out what `param` names, or set it as the message says"),
        "invalid_json": ("the body is not JSON or TOML", "send what the Content-Type says"),
        "header_invalid": ("a header that is read is not UTF-8", "send it as UTF-8, or leave it out"),
        "encoding_invalid": ("the body is not what `Content-Encoding` or `Transfer-Encoding` says",
            "leave the header out, or encode the body as it says"),
        "invalid_http": ("the bytes are not an HTTP request", "use an HTTP/1.1 client"),
        "invalid_patch": ("the patch has another type or is nested too deeply",
            "send application/merge-patch+json"),
        "app_exists": ("an app of this name exists with another context of use",
            "use that context or another name"),
        "app_invalid": ("the app's name or context of use is not allowed", "use a context that the message lists"),
        "attribute_invalid": ("a profile attribute has a value that its schema does not allow",
            "correct the value"),
        "attribute_sensitive": ("the name would reveal a sensitive trait, such as health or religion",
            "leave it out"),
        "attribute_unknown": ("the app's schema has no such attribute", "use one that the message lists"),
        "attribute_price": ("a feature or attribute is about prices, which a mood must never reach",
            "leave it out"),
        "attribute_eligibility": ("a feature or attribute is about who may have something", "leave it out"),
        "attribute_queue": ("a feature or attribute is about the order of a queue", "leave it out"),
        "attribute_mood": ("the context of a request names a mood, which only a granted reading gives",
            "leave it out"),
        "audio_not_finite": ("the audio has samples that are not numbers", "send finite samples"),
        "audio_unreadable": ("the audio cannot be decoded", "send one of the documented formats"),
        "input_audio_buffer_commit_empty": ("there is no audio to commit", "append audio first"),
        "catalogue_too_large": ("the catalogue has too many items", "send fewer items"),
        "commercial_affinity": ("a commercial item would gain from stress or low mood", "correct its affinity"),
        "days_invalid": ("`days` is not a whole number in its range", "use the range that the message gives"),
        "form_invalid": ("the body is not the form that the route takes", "follow the message"),
        "group_invalid": ("a report cannot be grouped by this", "use a group that the message lists"),
        "invalid_base64": ("`audio` is not base64", "encode the audio as base64"),
        "invalid_event": ("the event has no type or another shape", "compare it with /asyncapi.json"),
        "item_affinity": ("an item's affinities are outside -1 to 1", "correct them"),
        "item_features": ("an item has too many features, or one outside -1 to 1", "correct them"),
        "item_id": ("an item's id is empty, too long or not unique", "give each item an id of its own"),
        "item_time": ("an item's times are not Unix seconds, or it is never there",
            "correct them; milliseconds are divided by 1000"),
        "key_ended": ("a key that was revoked or has expired cannot be replaced", "create another key"),
        "key_invalid": ("an API key or idempotency key is invalid", "follow the message"),
        "location_invalid": ("the latitude or longitude is out of range", "correct the location"),
        "location_precise": ("the location is more precise than a tenth of a degree", "round it on the device"),
        "notice_outdated": ("a grant answers a version of the notice that is not current",
            "show the current notice"),
        "notice_unknown": ("there is no notice of this version", "use a version that the message lists"),
        "odd_length_audio": ("a PCM16 frame has an odd number of bytes", "send whole samples of two bytes"),
        "page_invalid": ("`before` is not the `next` of an earlier page", "send `next` as you got it"),
        "person_invalid": ("the person's id is too long, empty or not printable, or several are named",
            "use 1 to 128 printable characters"),
        "person_missing": ("the stream, secret or call does not name a person",
            "give `?person=ID`; for a secret also `safety_identifier`; in a call the parameter `person` or "
            "`outbound_person`"),
        "policy_invalid": ("the tone policy breaks a rule", "correct what the message names"),
        "quiet_hours_invalid": ("quiet hours begin and end at the same time", "choose two different times"),
        "region_invalid": ("a region was given without its country", "give the country too"),
        "replier_limited": ("the embedded replier cannot answer in JSON or call a tool",
            "leave `response_format` and `tool_choice` out, or set `upstream_url`"),
        "reward_value": ("the value of a reward is outside its range", "use the range that the message gives"),
        "schema_invalid": ("the schema of attributes is invalid", "correct what the message names"),
        "scope_unknown": ("this scope does not exist, or is not allowed for this credential",
            "use scopes that the message lists"),
        "time_zone_unknown": ("there is no such time zone", "use an IANA name such as Europe/Berlin"),
        "too_many_devices": ("the person has as many devices as allowed", "unlink one first"),
        "too_many_searches": ("more searches than are stored", "send only the latest"),
        "ttl_invalid": ("the time to live of a part of the context is out of range", "use a shorter time to live"),
        "unknown_event": ("an unknown event was ignored; the stream goes on", "compare it with /asyncapi.json"),
        "unknown_language": ("this language cannot be transcribed", "leave the language out to detect it"),
        "audio_container": ("the audio is a file of another format than the session is set to",
            "set the session's `format` to what you send"),
        "unsupported_content": ("an item holds audio", "send it with `input_audio_buffer.append`"),
        "unknown_member": ("an update or form names a member that is not known here",
            "leave it out, or compare it with /asyncapi.json or /openapi.json"),
        "unsupported_audio_format": ("audio of this type or rate is not supported",
            "use a format the message lists"),
        "unsupported_session_type": ("this type of session is not supported", "use the type `transcription`"),
        "unsupported_turn_detection": ("this turn detection is not supported",
            "use `server_vad`, `semantic_vad` or null"),
        "websocket_expected": ("this path was called without a WebSocket handshake", "open it as a WebSocket"),
    },
    errors.TooLarge: {
        "too_large": ("the body has more bytes than `max_body_bytes`", "send less at once"),
        "audio_too_long": ("one piece or recording holds too many seconds of audio", "send shorter ones"),
        "buffer_full": ("too much audio is waiting for a commit", "commit or clear the buffer"),
        "event_too_large": ("one event has too many bytes", "send shorter events"),
        "frame_too_large": ("one binary frame has too many bytes", "send shorter frames"),
    },
    errors.Unauthenticated: {
        "unauthenticated": ("the credential is not valid", "send a valid key or token"),
        "key_missing": ("the request has no API key or token", "send `Authorization: Bearer KEY`"),
        "key_unknown": ("there is no such API key", "check the key"),
        "key_revoked": ("the API key was revoked", "use another key"),
        "key_expired": ("the API key has expired", "create another with `assistant keys rotate`"),
        "start_expected": ("the first event of a call is not `start`", "send `start` first"),
        "token_invalid": ("the token was not issued by this server, or not for this use", "get a new token"),
        "token_expired": ("the token has expired", "get a new token"),
        "token_revoked": ("the token was revoked, or its person was erased", "get a new token"),
    },
    errors.Forbidden: {
        "forbidden": ("this is not allowed", "follow the message"),
        "scope_missing": ("the key or token lacks the scope for this", "use a key that has it"),
        "signature_invalid": ("a call is not signed by the Twilio account of this server",
            "set ATTUNE_TWILIO_AUTH_TOKEN and ATTUNE_PUBLIC_URL as Twilio knows them"),
        "person_required": ("in this app only the person can grant consent", "use the person's own token"),
        "minor": ("emotional inference is off for minors", "nothing; it stays off"),
        "context_workplace": ("emotion from the voice is prohibited at work", "nothing, or a signed exception"),
        "context_education": ("emotion from the voice is prohibited in education",
            "nothing, or a signed exception"),
        "context_therapy": ("emotion from the voice is not allowed in therapy", "nothing, or a signed exception"),
        "context_medical": ("emotion from the voice needs a medical use here", "sign an exception for it"),
        "therapy_illinois": ("therapy in Illinois may not detect emotions from text", "nothing; it stays off"),
    },
    errors.ConsentRequired: {
        "consent_required": ("there is no valid grant for this modality and purpose", "ask the person for consent"),
    },
    errors.NotFound: {
        "not_found": ("this does not exist in this app", "check the path"),
        "model_not_found": ("there is no language model of this name", "use one that `/v1/models` lists"),
        "route_unknown": ("there is no such path", "compare it with /openapi.json"),
        "app_unknown": ("there is no such app", "create it with `assistant keys create`"),
        "decision_unknown": ("there is no such decision, or it is no longer kept", "check the id"),
        "device_unknown": ("this device is not linked", "link it first"),
        "item_not_recommended": ("the decision did not recommend this item", "reward an item that it showed"),
        "key_unknown": ("there is no key with this id", "see `assistant keys list`"),
        "person_unknown": ("this app has no such person, or the person was erased", "create the person with PUT"),
        "receipt_unknown": ("this person has no such receipt", "check the id"),
    },
    errors.AlreadyTaken: {
        "taken": ("it already belongs to another person", "choose another"),
        "device_linked": ("another person has this device", "unlink it there first"),
    },
    errors.Premature: {
        "premature": ("another step must come first", "follow the message"),
        "decision_inactive": ("the decision is not active yet", "activate the decision first"),
    },
    errors.Conflict: {
        "version_conflict": ("it changed meanwhile, or does not match If-Match", "read it again and retry"),
    },
    errors.TooMany: {
        "rate_limited": ("too many requests in this time", "wait as long as Retry-After says"),
        "budget_exceeded": ("the daily chat budget is used up", "wait as long as Retry-After says"),
    },
    errors.Busy: {
        "busy": ("the server has too much work waiting", "try again soon"),
        "late": ("there was no result in time", "try again soon"),
        "too_many_recordings": ("as many recordings as allowed are being transcribed", "try again soon"),
        "too_many_streams": ("the server has as many streams as allowed", "try again soon"),
        "too_many_streams_of_app": ("the app has as many streams as allowed", "close one first"),
    },
    errors.Unavailable: {
        "transcriber_missing": ("the server has no transcriber, or could not load it", "tell the operator"),
        "unavailable": ("something that this needs is missing or broken", "try again; then tell the operator"),
        "data_corrupt": ("stored data was changed or belongs to another key", "tell the operator"),
        "issuer_unavailable": ("the operators' identity provider cannot be reached", "try again soon"),
        "master_key_invalid": ("no master key matches the stored keys", "configure the right master key"),
        "policy_unreadable": ("the app's tone policy cannot be read", "upload it again"),
        "storage_failed": ("the database does not answer or failed", "try again soon"),
        "upstream_failed": ("the language model's server answered with an error", "try again soon"),
        "upstream_interrupted": ("the language model's server closed the connection during an answer", "try again"),
        "upstream_invalid": ("the language model's server sent something unexpected", "check `upstream_url`"),
        "upstream_resting": ("the language model's server failed several times and gets no requests for a moment",
            "try again soon"),
        "upstream_timeout": ("the language model's server took too long", "try again, or ask for less"),
        "upstream_unauthorized": ("the language model's server refuses its key", "check `upstream_key`"),
        "upstream_unreachable": ("the language model's server cannot be reached", "check `upstream_url`"),
        "vad_unavailable": ("voice activity detection is unavailable; the stream goes on", "try again soon"),
    },
    errors.AssistantError: {
        "internal": ("an internal error of the server, status 500; it was logged", "tell the operator"),
        "http_error": ("the request cannot be served as HTTP; the status says why", "follow the status"),
        "method_not_allowed": ("this path has no such method, status 405", "use a method that Allow lists"),
        "upstream_refused": ("the language model's server refused; the answer has its status and body",
            "follow that answer"),
        "idle_timeout": ("the stream was closed: no frame came for `stream_idle_s`", "open a new one"),
        "session_expired": ("the stream was closed after `stream_longest_s`", "open a new one"),
    },
}  # fmt: skip

_OF_COMMANDS: _Table = {
    errors.Invalid: {
        "audio_channel_missing": ("a recording has no channel of that number", "choose another with --channel"),
        "audio_channels_cancel": ("the channels of a recording cancel each other out", "choose one with --channel"),
        "audio_empty": ("a clip contains no audio between its trims", "correct the trims"),
        "audio_too_long": ("a clip is too long to read at once", "say which part with trim_start_s and trim_end_s"),
        "baseline_unsupported": ("the model cannot use a personal baseline", "leave out --baseline"),
        "catalogue_unreadable": ("the file is not a catalogue in JSON", "correct it as the message says"),
        "columns_invalid": ("--columns or --table does not fit the files", "follow the message"),
        "condition_invalid": ("there is no such condition", "use one that the message lists"),
        "exception_invalid": ("an exception would be valid for too long", "give fewer --days"),
        "file_missing": ("a file or folder of the data cannot be read", "check its path"),
        "fit_unsupported": ("--fit does not work with these options", "follow the message"),
        "folder_missing": ("an export of many people needs a folder", "name it with --out"),
        "label_map_invalid": ("the label map is not JSON of known names", "correct the map"),
        "label_unmapped": ("a label has no entry in the label map", "add it, or map it to null"),
        "manifest_column_missing": ("a table lacks a column", "add it, or name it with --columns"),
        "manifest_unreadable": ("a table cannot be read", "follow the message"),
        "noise_unreadable": ("a folder of sounds has no readable file", "check the folder"),
        "not_comparable": ("these reports cannot be compared", "follow the message"),
        "one_class": ("all rows have the same label", "give rows of two or more classes"),
        "out_unwritable": ("--out is not a folder", "name a folder"),
        "rate_missing": ("an array of samples has no rate", "pass the rate in Hz"),
        "report_invalid": ("a report was not written by `assistant evaluate`", "evaluate again"),
        "row_invalid": ("--strict was given and there are bad rows", "correct the rows, or leave out --strict"),
        "scale_unknown": ("the labels are not on a common scale", "give it with --scale LOW,HIGH"),
        "segment_outside": ("a row is about a part that its file does not have", "follow the message"),
        "situnes_shape": ("the folder does not look like SiTunes, stage 2", "check --data"),
        "table_pickled": ("a table is stored as a pickle, which is never opened", "convert it as the message says"),
        "table_unclear": ("several tables have the columns", "choose one with --table"),
        "task_unknown": ("the model has no output for this task", "choose another task or model"),
        "task_unsupported": ("the model's outputs do not fit this task", "choose another task or model"),
        "too_few_parts": ("a column has too few values to leave one out", "choose another column"),
        "too_few_rows": ("there are too few rows to learn from", "add rows"),
        "too_few_speakers": ("there are too few speakers for disjoint folds", "label more speakers"),
    },
    errors.NotFound: {
        "file_missing": ("a file cannot be read", "check its path"),
        "folder_missing": ("there is no folder of sounds", "check its path"),
        "report_missing": ("there is no report, or no predictions, in the folder", "evaluate again"),
    },
    errors.Conflict: {
        "journal_other": ("the journal is of a run with other options",
            "leave out --resume, or name another --out"),
        "model_exists": ("the folder of --save-model exists already", "name a new folder"),
    },
    errors.Unavailable: {
        "encoder_missing": ("PyAV cannot encode Opus", "install its wheel, or leave the condition out"),
        "extra_missing": ("an optional dependency is not installed", "install the extra that the message names"),
        "out_unwritable": ("the results cannot be written", "check the folder"),
        "ray_failed": ("a worker of the cluster failed", "continue with --resume"),
        "ray_unreachable": ("no Ray cluster can be reached", "check its address"),
        "schema_unknown": ("this version cannot migrate the database", "use the version that the message names"),
        "version_other": ("a worker has a different version of the package", "install one version on all"),
    },
    errors.ModelInvalid: {
        "model_invalid": ("a model folder does not match its card", "see `assistant models check`"),
        "model_missing": ("a file of a model is missing or unreadable", "see `assistant models check`"),
    },
    errors.ConfigInvalid: {
        "config_invalid": ("a setting is invalid", "follow the message, and SETTINGS.md"),
        "address_unavailable": ("the server cannot listen on this address", "set another host or port"),
        "database_missing": ("there is no such database file", "check ATTUNE_DATABASE"),
        "driver_missing": ("PostgreSQL's driver is not installed", "pip install attune[postgres]"),
        "proxy_invalid": ("HTTPS_PROXY, HTTP_PROXY or ALL_PROXY holds no URL of an HTTP proxy",
            "correct or unset it"),
        "exception_invalid": ("an exception is unreadable, or its signature is wrong", "sign it again"),
        "exception_key_invalid": ("the file is not a private Ed25519 key",
            "create one with `assistant exceptions key`"),
        "master_key_invalid": ("the master key is not hexadecimal of the right length", "correct it"),
        "master_key_missing": ("there is no master key", "see `assistant keys create`"),
    },
}  # fmt: skip


def _listed(table: _Table) -> Iterator[ErrorCode]:
    for family, codes in table.items():
        for code, (meaning, remedy) in codes.items():
            yield ErrorCode(code, family, meaning, remedy)


SERVER_CODES: tuple[ErrorCode, ...] = tuple(_listed(_OF_SERVER))
"""What clients of the API can meet."""
COMMAND_CODES: tuple[ErrorCode, ...] = tuple(_listed(_OF_COMMANDS))
"""What only commands print."""
