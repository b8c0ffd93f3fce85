"""`card.md`: what was measured of a model, as a page of Markdown to go with the model or into an appendix."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistant.evaluate.report.document import abstract, title
from assistant.evaluate.report.glossary import count, headline, interval, metric, number, written
from assistant.evaluate.report.html import shown
from assistant.evaluate.report.limitations import limits

Report = Mapping[str, Any]
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
_CODE = re.compile(r"`+")


def model_card(report: Report) -> str:
    """The card. Nothing in it varies between two runs of one command but the line `Measured on`."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def plain(text: Any) -> str:
    """Any text as Markdown that shows just that text, on one line.

    >>> print(plain("a|b <b>*c*</b>"), plain("two\\nlines"))
    a\\|b \\<b\\>\\*c\\*\\</b\\> two lines
    """
    return _SPECIAL.sub(r"\\\1", " ".join(shown(str(text)).split()))


def code(text: str) -> str:
    """A block of code that its content can't end.

    >>> print(code("a ``` b"))
    ````
    a ``` b
    ````
    """
    fence = "`" * max(3, max(map(len, _CODE.findall(text)), default=0) + 1)
    return f"{fence}\n{shown(text)}\n{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table whose first column is text and whose others are numbers.

    >>> print(table(("name", "n"), [("a|b", 3)]))
    | name | n |
    | :--- | ---: |
    | a\\|b | 3 |
    """
    lines = [" | ".join(map(plain, head)), " | ".join([":---", *["---:"] * (len(head) - 1)])]
    lines += [" | ".join(map(plain, row)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _lines(report: Report) -> Iterator[str]:
    model, made = report["model"], report.get("provenance") or {}
    yield f"# {plain(title(report))}\n"
    if made.get("when"):
        yield f"Measured on {made['when'][:10]}.\n"
    yield plain(abstract(report)) + "\n"
    yield "## The model\n"
    if model.get("summary"):
        yield plain(model["summary"]) + "\n"
    yield from (f"- {what}: {plain(said)}" for what, said in _facts(model))
    yield "\n## Figures\n"
    found = report["metrics"]
    yield table(
        ("", "value", "95 % interval"),
        [(metric(key).name, number(f.get("value")), interval(f) or "–") for key, f in found.items()],
    )
    yield "\nIntervals are 95 % percentile bootstrap over whole clusters.\n"
    yield from _by_class(report)
    yield from _by_part(report)
    yield "## Limits\n"
    yield from (f"- {plain(one)}" for one in limits(report))
    yield from (f"- {plain(str(note)[:1].upper() + str(note)[1:])}." for note in report["notes"])
    yield "\n## How to make it again\n"
    yield from _made(made)


def _facts(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "name", model["name"] + (f", version {model['version']}" if model.get("version") else "")
    hashes = model["sha256"] if isinstance(model["sha256"], Mapping) else {"SHA-256": model["sha256"]}
    yield from hashes.items()
    if stem := model.get("stem"):
        yield "stem", f"{stem['name']}, SHA-256 {stem['sha256']}"
    if model.get("licence"):
        yield "licence", model["licence"]
    if model.get("labels"):
        yield "labels", ", ".join(model["labels"])
    if corpora := model.get("training_data"):
        named = (one["name"] + (f" ({one['licence']})" if one.get("licence") else "") for one in corpora)
        yield "training data", ", ".join(named)


def _by_class(report: Report) -> Iterator[str]:
    if per_class := report.get("per_class"):
        keys = [k for k in ("precision", "recall", "f1", "auc") if any(k in row for row in per_class.values())]
        yield "## By class\n"
        yield table(
            ("", "rows", *(metric(key).name for key in keys)),
            [
                (name, row.get("support", 0), *(written(row.get(k)) for k in keys))
                for name, row in per_class.items()
            ],
        )
        yield ""


def _by_part(report: Report) -> Iterator[str]:
    key = next(iter(headline(report["task"], report["metrics"])), "")
    name = metric(key).name
    head = ("", "rows", name, "95 % interval")

    def lines(parts: Mapping[str, Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        return [(words, part["n"], *_one(part, key)) for words, part in parts.items()]

    if groups := report.get("groups"):
        yield f"## By group\n\n{table(head, lines(groups))}\n"
    if gaps := report.get("gaps"):
        yield table(
            ("gap by", "figure", "gap", "verdict"),
            [(g["column"], metric(g["metric"]).name, written(g.get("gap")), g["verdict"]) for g in gaps],
        )
        yield ""
    if conditions := report.get("conditions"):
        yield f"## Under other conditions\n\n{table(head, lines({one['name']: one for one in conditions}))}\n"
    if folds := report.get("folds"):
        parts = {str(one["held_out"]): one for one in folds["of"]}
        yield f"## By fold\n\n{table(('held out', *head[1:]), lines(parts))}\n"
    if leak := report.get("leakage"):
        yield f"## Leakage\n\n{plain(leak.get('verdict', ''))}\n"


def _one(part: Mapping[str, Any], key: str) -> tuple[str, str]:
    found = (part.get("metrics") or {}).get(key)
    if found is None:
        return "–", str(part.get("note", "–"))
    figure = found if isinstance(found, Mapping) else {"value": found}
    return number(figure.get("value")), interval(figure) or "–"


def _made(made: Mapping[str, Any]) -> Iterator[str]:
    if made.get("command"):
        yield code(shlex.join(made["command"])) + "\n"
    if data := made.get("data"):
        yield f"- data: {plain(data['name'])}, SHA-256 {plain(data['sha256'] or 'unknown')}"
    if mapped := made.get("label_map"):
        yield f"- label map: {plain(mapped['name'])}, SHA-256 {plain(mapped['sha256'])}"
    if made:
        versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
        yield f"- attune {plain(made['attune'])}, Python {plain(made['python'])}, {plain(versions)}"
        machine = made["machine"]
        cores = count(machine["cores"], "core")
        yield f"- {plain(machine['cpu'])}, {cores}, {plain(made['platform'])}; seed {made['seed']}"
