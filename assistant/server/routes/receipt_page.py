"""A receipt that people can read, print and keep: one page of HTML that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from assistant.consent.dpv import RIGHTS, ReceiptDetails, retention_text
from assistant.consent.receipt import DECISIONS, DOES, NOTICES, Event, Record, iso_date
from assistant.consent.standing import key_of
from assistant.emotion import STATEMENT

_SAYS: dict[Event, str] = {
    "granted": "You allowed this",
    "withdrawn": "You withdrew this",
    "refused": "This was refused",
    "expired": "This ran out",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6470; --line: #d9dee3; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --soft: #9ba5b0; --line: #39414a; --page: #14181c; } }
body { margin: 0 auto; padding: 2rem 1.25rem; max-width: 42rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; text-wrap: balance; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
p, dl, ul, table { margin: 0 0 .75rem; }
dt { color: var(--soft); font-size: .875rem; }
dd { margin: 0 0 .75rem; }
ul { padding-left: 1.25rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .375rem .75rem .375rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 400; font-size: .875rem; }
td { font-variant-numeric: tabular-nums; }
small { color: var(--soft); }
code { font-size: .8125rem; }
@media print { :root { --ink: #000; --soft: #444; --line: #999; --page: #fff; } }
""".strip()


def page(record: Record, history: Sequence[Record], about: ReceiptDetails) -> str:
    """The receipt for one of the `DECISIONS`, in HTML. Everything that anybody chose is escaped."""
    modality, purpose = key_of(record)
    events = [
        one
        for one in history
        if one.event in DECISIONS and key_of(one) == (modality, purpose) and one.seq <= record.seq
    ]
    title = f"{_SAYS[record.event]}: estimating emotion from your {modality} to {DOES[purpose]}"
    facts = [
        (
            "Who answers for it",
            ", ".join(part for part in (about.controller, about.address, about.contact) if part),
        ),
        ("When", _when(record.at)),
        ("Until", _when(record.expires_at) if record.expires_at is not None else "—"),
        ("Who decided", _who(record)),
        ("Legal basis", "your consent; without it nothing is estimated"),
        ("What is kept", retention_text(purpose, about)),
        ("Who gets it", f"{about.controller} and nobody else; the models run on the server itself"),
        ("Where it is kept", ", ".join(about.stored_in) or "not stated to this server"),
        ("Which law", ", ".join(about.places) or "not stated to this server"),
    ]
    if record.event == "refused":
        facts.append(("Why", f"a rule refused it, whatever is allowed: {record.reason}"))
    rows = [
        f"<tr><td>{_when(one.at)}</td><td>{escape(_SAYS[one.event])}</td><td>{escape(_who(one))}</td></tr>"
        for one in reversed(events)
    ]
    rights = [
        f"<li>{escape(right[0].upper() + right[1:])}: <code>{method} {escape(about.path + end)}</code></li>"
        for right, method, end in RIGHTS
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Consent receipt</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<p><small>Consent receipt</small></p>
<h1>{escape(title)}</h1>
<dl>
{"".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)}
</dl>
<h2>How to withdraw</h2>
<p>Ask {escape(about.controller)}, or send one request. It counts at once, and everything works without it.</p>
<p><code>POST {escape(about.path)}/consent
{{"modality": "{modality}", "purpose": "{purpose}", "granted": false}}</code></p>
<h2>What you were told</h2>
<p>{escape(NOTICES.get(record.notice or "", ""))}</p>
<p><small>Notice, version {escape(record.notice or "")}. The mood is {escape(STATEMENT)}.</small></p>
<h2>What happened until then</h2>
<table>
<thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Who</th></tr></thead>
<tbody>{"".join(rows)}</tbody>
</table>
<h2>Your rights</h2>
<ul>{"".join(rights)}</ul>
<p><small>Receipt <code>{escape(record.id)}</code>, place {record.seq} of the ledger, proved by
<code>{escape(record.hash)}</code></small></p>
</main>
</body>
</html>
"""


def _when(at: float) -> str:
    return iso_date(at).replace("T", " ").replace("Z", " UTC")


def _who(record: Record) -> str:
    """Who decided, in words.

    >>> from assistant.consent.receipt import Actor
    >>> _who(Record("1", "p", 0.0, "expired", "voice", "tone", "1", None, Actor("clock", "expiry")))
    'nobody; its time was over'
    """
    return {
        "person": "you",
        "app": "the app, on your behalf",
        "operator": "whoever runs the server",
        "clock": "nobody; its time was over",
    }[record.actor.kind]
