"""Between computed figures, the structs of a report, JSON, and the schema of this JSON."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from assistant.bootstrap import Figure
from assistant.errors import Invalid, NotFound
from assistant.evaluate.report import report
from assistant.evaluate.report.report import Figures, Findings, Measured, Report

Form = TypeVar("Form", bound=Struct)


def round_number(value: float) -> float | None:
    """A number as a report writes it: 6 places, and None for NaN and infinity.

    >>> round_number(0.12345678), round_number(float("nan"))
    (0.123457, None)
    """
    return round(float(value), 6) if math.isfinite(value) else None


def to_measured(figures: Mapping[str, Figure]) -> Figures:
    """Figures as a report writes them."""
    values = {name: (figure.value, figure.low, figure.high) for name, figure in figures.items()}
    return {name: Measured(*map(round_number, three)) for name, three in values.items()}


def get_members(part: Findings) -> dict[str, Any]:
    """The members of a part by name, to build the whole with."""
    return {name: getattr(part, name) for name in part.__struct_fields__}


def to_struct(part: Any, form: type[Form]) -> Form:
    """Plain figures as one of the structs above, rounded as they are written.

    Raises `msgspec.ValidationError` for what does not fit.
    """
    return msgspec.convert(to_plain(part), form)


def to_plain(value: Any) -> Any:
    """What JSON can hold: figures as objects, numbers rounded to 6 places, and null for NaN and infinity.

    >>> to_plain({"a": float("nan"), "b": (0.12345678, 1)})
    {'a': None, 'b': [0.123457, 1]}
    """
    if isinstance(value, Struct):
        return to_plain(msgspec.to_builtins(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    return round_number(value) if isinstance(value, float) else value


def read_report(file: Path) -> Report:
    """Read a `report.json`, also of an earlier version.

    Raises `NotFound` (`report_missing`) and `Invalid` (`report_invalid`).
    """
    try:
        # not msgspec's decoder: it refuses the escapes of file names that are not UTF-8
        return msgspec.convert(json.loads(file.read_text(encoding="utf-8")), Report)
    except OSError as error:
        words = f"cannot read {file}; name folders that `assistant evaluate ... --out` wrote"
        raise NotFound(words, code="report_missing") from error
    except msgspec.ValidationError as error:
        raise Invalid(f"{file} is not a report of assistant evaluate: {error}", code="report_invalid") from error
    except ValueError as error:
        raise Invalid(f"{file} is not JSON: {error}", code="report_invalid") from error


def make_schema() -> dict[str, Any]:
    """The JSON schema of `report.json`. It requires every member that is always written, also those with a default.

    >>> make_schema()["$id"], "seconds" in make_schema()["required"], "folds" in make_schema()["required"]
    ('attune-evaluation/1', True, False)
    """
    named: dict[str, dict[str, Any]] = msgspec.json.schema(report.Report)["$defs"]
    for name, form in named.items():
        members = form["properties"]
        written = {f.encode_name for f in msgspec.structs.fields(getattr(report, name)) if f.default is not UNSET}
        form["required"] = [key for key in members if key in written or key == "schema"]
        form["description"] = inspect.cleandoc(form["description"])
        for member in members.values():
            member.pop("default", None)
    top: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": report.SCHEMA}
    return top | named.pop("Report") | {"$defs": named}
