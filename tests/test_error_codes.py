"""Every code that the package raises is in the table of codes, in its family; and every listed code is raised."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

import pytest

from assistant import errors
from assistant.cli import main
from assistant.error_codes import COMMAND_CODES, SERVER_CODES
from assistant.errors import AssistantError
from assistant.server.docs.asyncapi import describe_events
from assistant.server.docs.openapi import describe
from tests.conftest import ROOT

PACKAGE = ROOT / "assistant"
PAGE = PACKAGE / "server" / "ERRORS.md"
LISTED = (*SERVER_CODES, *COMMAND_CODES)

# The place of the code among the arguments of what carries one to a client without raising an error itself.
POSITIONAL = {
    "Refusal": 0,
    "Prohibition": 0,
    "Fault": 1,
    "NotTranscribed": 1,
    "_refusal": 0,
    "problem": 1,
    "error_json": 1,
    "end": 0,
}
# Constants that hold codes: of a tuple the first text, of a dictionary its keys, or its values where the keys are
# numbers.
CONSTANTS = ("_HTTP_CODES", "_ENDED", "INTERNAL")
# How an error may get its code other than as a text: from a rule, a fault or a table whose codes the search finds.
FROM_TABLES = {"code", "rule.code", "refused.code", "all_faults[0].code", "ended"}
# These name the code of something else: examples for the documents, and the table itself.
LEFT_OUT = ("server/docs/examples.py", "error_codes.py")


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if name not in LEFT_OUT:
            yield name, ast.parse(file.read_text(encoding="utf-8"))


TREES = dict(_trees())


def _texts(node: ast.AST) -> list[str]:
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _choices(node: ast.AST) -> list[str]:
    """The texts that an expression may be: `"a" if x == "c" else "b"` is `a` or `b`."""
    if isinstance(node, ast.IfExp):
        return [*_choices(node.body), *_choices(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _families() -> dict[str, str]:
    """The name of each class of errors, wherever it is defined, and of its family in `errors`."""
    families = {
        name: name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, AssistantError)
    }
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for base in node.bases:
                    if isinstance(base, ast.Name) and base.id in families:
                        families.setdefault(node.name, families[base.id])
    return families


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _raised() -> dict[str, set[str | None]]:
    """Each code with the families that raise it; None where it is not known which one does."""
    families, found = _families(), defaultdict[str, set[str | None]](set)

    def add(codes: Iterable[str], family: str | None = None) -> None:
        for code in codes:
            found[code].add(family)

    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name in families:
                for line in node.body:
                    if isinstance(line, ast.Assign) and "code" in map(ast.unparse, line.targets):
                        add(_choices(line.value), families[node.name])
            elif isinstance(node, ast.Assign):
                names = set(map(ast.unparse, node.targets))
                if "code" in names:
                    add(_choices(node.value))
                if names & set(CONSTANTS):
                    add(_constants(node.value))
            elif isinstance(node, ast.Call):
                name = _name(node)
                for keyword in node.keywords:
                    if keyword.arg == "code":
                        add(_choices(keyword.value), families.get(name))
                if name in POSITIONAL and len(node.args) > POSITIONAL[name]:
                    add(_choices(node.args[POSITIONAL[name]]))
                if name == "get" and node.args[1:] and ast.unparse(node.func).startswith("_HTTP_CODES"):
                    add(_choices(node.args[1]))
    return {code: kinds - {None} if kinds - {None} else kinds for code, kinds in found.items()}


def _constants(value: ast.AST) -> list[str]:
    if isinstance(value, ast.Dict):
        keys = [text for key in value.keys if key is not None for text in _choices(key)]
        return keys or [text for each in value.values for text in _choices(each)]
    return _texts(value)[:1]


RAISED = _raised()


def test_every_code_that_is_raised_is_listed_in_its_family() -> None:
    listed = defaultdict[str, set[str]](set)
    for each in LISTED:
        listed[each.code].add(each.family.__name__)
    assert {code for code in RAISED if code not in listed} == set()
    missing = {code: kinds - listed[code] for code, kinds in RAISED.items() if None not in kinds}
    assert {code: kinds for code, kinds in missing.items() if kinds} == {}


def test_every_listed_code_is_raised_by_its_family() -> None:
    assert {each.code for each in LISTED if each.code not in RAISED} == set()
    assert {
        (each.code, each.family.__name__)
        for each in LISTED
        if None not in RAISED[each.code] and each.family.__name__ not in RAISED[each.code]
    } == set()


def test_the_search_finds_what_is_known_to_be_raised() -> None:
    assert len(RAISED) > 130
    assert {
        "internal",
        "route_unknown",
        "key_revoked",
        "minor",
        "item_id",
        "idle_timeout",
        "attribute_price",
    } <= set(RAISED)


def test_no_error_gets_a_code_that_the_search_cannot_see() -> None:
    families = _families()
    given = {
        ast.unparse(keyword.value)
        for tree in TREES.values()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and (_name(call) in families or ast.unparse(call.func) == "super().__init__")
        for keyword in call.keywords
        if keyword.arg == "code" and not _choices(keyword.value)
    }
    assert given <= FROM_TABLES


def test_a_code_and_its_family_are_listed_once_and_say_what_to_do() -> None:
    pairs = [(each.code, each.family) for each in SERVER_CODES]
    assert len(pairs) == len(set(pairs))
    pairs = [(each.code, each.family) for each in COMMAND_CODES]
    assert len(pairs) == len(set(pairs))
    assert all(each.meaning and each.remedy for each in LISTED)


def test_the_api_describes_the_codes_with_the_status_of_their_family() -> None:
    described = describe(())["components"]["schemas"]["Problem"]["properties"]["code"]["x-error-codes"]
    assert {"code": "key_unknown", "status": 401} in [
        {name: each[name] for name in ("code", "status")} for each in described
    ]
    assert {each["code"] for each in described} == {
        each.code for each in SERVER_CODES if each.family is not AssistantError
    }


def test_the_streams_describe_every_code_of_the_api() -> None:
    described = describe_events()["components"]["schemas"]["ErrorDetails"]["properties"]["code"]["x-error-codes"]
    assert [each["code"] for each in described] == [each.code for each in SERVER_CODES]
    assert all(each["meaning"] and each["remedy"] for each in described)


def test_the_page_of_codes_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["errors", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8")
