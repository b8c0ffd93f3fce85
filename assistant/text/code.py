"""Recognises code in place of prose: programs, markup, data, commands and logs."""

from __future__ import annotations

import re

_MARKS = (
    # calls, blocks, ends of statements
    r"[\w\])]\((?!s\))",
    r"[{}]",
    r";[ \t]*$|\) ?[;:](?=\s|$)",
    # operators, assignments, places in lists, names across modules
    r"[=!<>+*|-]=(?=[\s\w\"'])|&&|\|\||[=-]>(?=\s)|\w::\w|\+\+|\w \+ \w|\w \* \w",
    r"\w\s=\s[\w\[{(\"'$-]|\w=[\"'\w$\[{]",
    r"\w\[\w*\]|\w\.\w+\(",
    # tags, keys of records
    r"</?[a-z]\w*(?:\s[^<>]{0,200})?/?>|<![A-Z]+",
    r"\"[\w ]{1,40}\"\s*:|^[ \t]*[a-z][\w.-]*:(?:\s|$)|^[ \t]*-\s\w+[:\s]|\b[a-z-]+:\s?[^\s;:]{1,40};",
    # statements
    r"^[ \t]*(?:def|class|import|from|return|if|elif|else|for|while|with|try|except|raise|fn|func|let|const|var"
    r"|public|private|static|struct|impl|export|async|await|function)\b(?=.*[(){}\[\];:=])",
    r"^[ \t]*(?:#include|#!|\$ |@\w+[.(]|git\s|docker\s|npm\s|pip\s)",
    r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|FROM|WHERE|SET|VALUES|GROUP BY|ORDER BY|JOIN"
    r"|PRIMARY KEY|NOT NULL|DEFAULT|COUNT|ON CONFLICT)\b(?=.*[=(),;*])",
    # traces and logs
    r"^[ \t]*File \"|, line \d+|^[ \t]*at \S+ ?\(\w+|^Traceback \("
    r"|[A-Za-z](?:Error|Exception)\b|^(?:Error|Exception)\b",
    r"\b(?:INFO|WARN|DEBUG|ERROR)\b|\d\d:\d\d:\d\d[.,]\d+|HTTP/\d",
    # commands and names
    r"\bsudo\s|(?<=\s)--?[A-Za-z][\w-]*\b|\s\|\s\w|\$\w|\*\.\w+|(?<=\s)/\w+/?",
    r"(?<![@\w])[A-Za-z0-9]+_[A-Za-z0-9]|\b[a-z]{2,}[A-Z][a-z]\w*",
)
_MARK = re.compile("|".join(_MARKS), re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_LEAST_MARKS = 3
_LEAST_DENSITY = 0.35
"""Marks per word. Prose has less than 0.1, a message that quotes a line of code about 0.2."""


def is_code(text: str) -> bool:
    """Whether marks of code are at least as dense as in a plain program.

    >>> is_code("for (int i = 0; i < 3; i++) { sum += i; }"), is_code('{"id": 7, "tags": ["a", "b"]}')
    (True, True)
    >>> is_code("why does foo() return None when x == 3? I'm so frustrated")
    False
    """
    marks = sum(1 for _ in _MARK.finditer(text))
    if marks < _LEAST_MARKS:
        return False
    words = min(len(text.split()), sum(1 for _ in _WORD.finditer(text)))
    return marks >= _LEAST_DENSITY * words
