"""Routes of people and their profiles."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import ETag, web
from msgspec import Meta

from assistant.consent.legal_rules import AgeBand
from assistant.errors import Conflict, Invalid, NotFound
from assistant.profile.attribute_schema import check_attributes, sensitive_topic
from assistant.profile.person import App, Formality, Person, Profile, QuietHours, subject, time_zone
from assistant.server.http.caller import Caller
from assistant.server.http.guard import body_of, checked_id, converted
from assistant.server.http.route import PERSON, Route, enter, enter_person, respond
from assistant.services import Services

Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Time = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Sentence = Annotated[str, Meta(min_length=1, max_length=200)]

_ATTEMPTS = 5


class QuietBody(msgspec.Struct, forbid_unknown_fields=True):
    """When to leave the person in peace; may go past midnight."""

    start: Time
    end: Time
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    """IANA name."""


class PersonBody(msgspec.Struct, forbid_unknown_fields=True):
    """A person's declared profile. Everything may be left out."""

    language: Annotated[str, Meta(pattern="^[a-z]{2,3}$")] = "en"
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    region: Annotated[str, Meta(pattern="^[A-Z0-9]{1,3}$")] | None = None
    """What follows the country in ISO 3166-2."""
    age_band: AgeBand = "adult"
    interests: Annotated[tuple[Tag, ...], Meta(max_length=64)] = ()
    goals: Annotated[tuple[Sentence, ...], Meta(max_length=32)] = ()
    preferences: Annotated[dict[Tag, Sentence], Meta(max_length=64)] = {}
    formality: Formality = "neutral"
    plain_language: bool = False
    short_sentences: bool = False
    quiet_hours: QuietBody | None = None
    attributes: Annotated[dict[str, Any], Meta(max_length=64)] = {}
    """What the app's own schema adds (`PUT /v1/profile-schema`)."""


async def put_person(request: web.Request) -> web.Response:
    """Make a person, or replace their profile. With `If-Match` or `If-None-Match: *` only if it is as expected."""
    services, caller = await enter(request)
    body = await body_of(request, PersonBody)
    name = checked_id(request.match_info["person"])
    try:
        version = (await services.storage.people.get(caller.app, name)).version
    except NotFound:
        version = 0
    person, new = await services.storage.people.put(
        caller.app, name, _profile(caller.app, body), if_version=_check_version(request, version)
    )
    return await _changed(services, caller, person, 201 if new else 200)


async def patch_person(request: web.Request) -> web.Response:
    """Change parts of a profile: a merge patch (RFC 7396). With `If-Match` only if it is as expected."""
    services, caller, person = await enter_person(request)
    if request.content_type not in ("application/merge-patch+json", "application/json"):
        raise Invalid("a patch is application/merge-patch+json", code="invalid_patch")
    patch = await body_of(request, dict[str, Any])
    for attempt in range(_ATTEMPTS):
        conditional = _check_version(request, person.version) is not None
        try:
            whole = apply_merge_patch(msgspec.to_builtins(person.profile), patch)
        except RecursionError:
            raise Invalid("this is nested too deeply", code="invalid_patch") from None
        body = converted(whole, PersonBody)
        try:
            person, _ = await services.storage.people.put(
                caller.app, person.id, _profile(caller.app, body), if_version=person.version
            )
            break
        except Conflict:
            if conditional or attempt == _ATTEMPTS - 1:
                raise
            person = await services.storage.people.get(caller.app, person.id)
    return await _changed(services, caller, person, 200)


async def get_person(request: web.Request) -> web.Response:
    """A person's profile."""
    _, _, person = await enter_person(request)
    if _is_among(person.version, request.if_none_match):
        return web.Response(status=304, headers={"ETag": f'"{person.version}"'})
    return _shown(person, 200)


async def delete_person(request: web.Request) -> web.Response:
    """Erase a person. First go their grants at once, then their key, then every row about them."""
    services, caller, person = await enter_person(request)
    await services.erase(caller.app, [person], caller.actor("api"))
    return web.Response(status=204)


async def _changed(services: Services, caller: Caller, person: Person, status: int) -> web.Response:
    await services.storage.ledger.enforce(subject(caller.app, person), caller.actor("profile"))
    return _shown(person, status)


def _profile(app: App, body: PersonBody) -> Profile:
    """The body as a profile. Raises `Invalid` for what a pattern can't tell."""
    quiet = body.quiet_hours
    if quiet is not None:
        time_zone(quiet.time_zone)
        if quiet.start == quiet.end:
            raise Invalid("quiet hours must end at another time than they begin", code="quiet_hours_invalid")
    if body.region is not None and body.country is None:
        raise Invalid("a region needs its country", code="region_invalid")
    for name in body.preferences:
        if (what := sensitive_topic(name)) is not None:
            raise Invalid(f"the name of a preference is about {what}", code="attribute_sensitive")
    check_attributes(app.settings.attributes, body.attributes)
    hours = None if quiet is None else QuietHours(quiet.start, quiet.end, quiet.time_zone)
    return Profile(**msgspec.structs.asdict(body) | {"quiet_hours": hours})


def _shown(person: Person, status: int) -> web.Response:
    profile = msgspec.to_builtins(person.profile)
    answer = respond({"person": person.id, "version": person.version, "profile": profile}, status)
    answer.headers["ETag"] = f'"{person.version}"'
    return answer


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` applied: objects are merged, null removes, anything else replaces.

    >>> apply_merge_patch({"a": "b", "c": {"d": "e", "f": "g"}}, {"a": "z", "c": {"f": None}})
    {'a': 'z', 'c': {'d': 'e'}}
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply_merge_patch(result.get(name), value)
    return result


def _check_version(request: web.Request, version: int) -> int | None:
    """Check `If-Match` and `If-None-Match` of a change against the version there is (0: nothing yet).

    The version that the change must find, None where any will do. Raises `Conflict` (`version_conflict`).
    """
    match, none_match = request.if_match, request.if_none_match
    fits = match is None or (version > 0 and _is_among(version, match))
    if not fits or (version > 0 and _is_among(version, none_match)):
        raise Conflict("this was changed meanwhile, or isn't what you expect; read it again and retry")
    return None if match is None and none_match is None else version


def _is_among(version: int, tags: tuple[ETag, ...] | None) -> bool:
    """Whether one of the tags is the version's. A weak one counts too: proxies that compress make ours weak."""
    return any(tag.value in ("*", str(version)) for tag in tags or ())


ROUTES: tuple[Route, ...] = (
    Route("PUT", PERSON, put_person, PersonBody),
    Route("PATCH", PERSON, patch_person, PersonBody),
    Route("GET", PERSON, get_person),
    Route("DELETE", PERSON, delete_person, scope="rights"),
)
