"""Entity tags: a version as HTTP tells it, and what a request says about the version it knows."""

from __future__ import annotations

from aiohttp import ETag, web

from assistant.errors import Conflict

_ANY = "*"


def tag(version: int) -> str:
    """The `ETag` of a version.

    >>> tag(3)
    '"3"'
    """
    return f'"{version}"'


def expected(request: web.Request, version: int) -> int | None:
    """Check `If-Match` and `If-None-Match` of a change against the version there is (0: nothing yet).

    The version that the change must find, None where any will do. Raises `Conflict` (`version_conflict`).
    """
    match, none_match = request.if_match, request.if_none_match
    if match is not None and not (version and _among(version, match)):
        raise _changed()
    if none_match is not None and version and _among(version, none_match):
        raise _changed()
    return None if match is None and none_match is None else version


def known(request: web.Request, version: int) -> bool:
    """Whether the client has this version already, so that it need not be sent."""
    none_match = request.if_none_match
    return none_match is not None and _among(version, none_match)


def _among(version: int, tags: tuple[ETag, ...]) -> bool:
    """Whether one of the tags is the version's. A weak one counts too: proxies that compress make ours weak."""
    return any(tag.value in (_ANY, str(version)) for tag in tags)


def _changed() -> Conflict:
    return Conflict("this was changed meanwhile, or isn't what you expect; read it again and retry")
