"""Where a rule holds: everywhere, in the EU, in a country or in part of one. For an unknown place every rule holds.

Places are ISO 3166 codes: `DE`, or `US-IL` for Illinois. A rule's `where` is `*` (everywhere), `EU`, a country or a
part of one.
"""

from __future__ import annotations

from collections.abc import Iterable

EU: frozenset[str] = frozenset(
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
     "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK")
)  # fmt: skip
"""Member states of the EU, ISO 3166 alpha-2."""

CONSENT_AGES: dict[str, tuple[int, str]] = {
    "EU": (16, "GDPR, Art. 8(1), where national law says nothing else"),
    "AT": (14, "Datenschutzgesetz, § 4(4)"),
    "BE": (13, "Act of 30 July 2018, Art. 7"),
    "CZ": (15, "Act 110/2019, § 7"),
    "DK": (15, "Databeskyttelsesloven, § 6(2), since 2024"),
    "ES": (14, "LOPDGDD, Art. 7"),
    "FI": (13, "Data Protection Act 1050/2018, § 5"),
    "FR": (15, "Loi Informatique et Libertés, Art. 45"),
    "IT": (14, "Codice privacy, Art. 2-quinquies"),
    "SE": (13, "Act 2018:218, ch. 2, § 4"),
    "GB": (13, "Data Protection Act 2018, s. 9"),
    "US": (13, "COPPA, 15 U.S.C. § 6501(1)"),
    "CA-QC": (14, "Act respecting the protection of personal information in the private sector, s. 4.1"),
    "KR": (14, "Personal Information Protection Act, Art. 22-2"),
    "IN": (18, "Digital Personal Data Protection Act 2023, s. 9 with s. 2(f)"),
}
"""By place: the age in years from which a person can consent online without a parent, and its source."""

UNKNOWN_AGE = 18
"""Age in years for a place that is not in the table."""


def applies_in(where: str, places: Iterable[str]) -> bool:
    """Whether a rule that holds `where` applies to somebody with these known `places`.

    With several places the rule applies if it holds in any of them. Without a place every rule applies. A country
    without its part counts as each of its parts.

    >>> applies_in("US-IL", ["US-IL"]), applies_in("US-IL", ["US"]), applies_in("US-IL", [])
    (True, True, True)
    >>> applies_in("US-IL", ["US-CA", "DE"])
    False
    >>> applies_in("EU", ["DE"]), applies_in("EU", ["US"]), applies_in("*", ["US"]), applies_in("US", ["US-IL"])
    (True, False, True, True)
    """
    known = tuple(places)
    return where == "*" or not known or any(_covers(where, place) for place in known)


def _covers(where: str, place: str) -> bool:
    country = place.partition("-")[0]
    if where == "EU":
        return country in EU
    return where in (place, country) or (place == country and where.startswith(f"{country}-"))


def consent_age(places: Iterable[str]) -> tuple[int, str]:
    """The age in years below which a parent decides, and its source: the highest that may hold in these places.

    >>> consent_age(["DE"])[0], consent_age(["FR"])[0], consent_age(["US-CA"])[0]
    (16, 15, 13)
    >>> consent_age(["CA"])[0], consent_age([])[0]
    (18, 18)
    """
    known = tuple(places)
    ages = [_age(place) for place in known] or [(UNKNOWN_AGE, "the place is not known")]
    return max(ages)


def _age(place: str) -> tuple[int, str]:
    country = place.partition("-")[0]
    for where in (place, country, *(["EU"] if country in EU else [])):
        if where in CONSENT_AGES:
            return CONSENT_AGES[where]
    return UNKNOWN_AGE, "no row for this place"


def place_of(country: str | None, region: str | None) -> str | None:
    """The ISO 3166 code of a place; None if the country is not known.

    >>> place_of("US", "IL"), place_of("US", None), place_of(None, "IL")
    ('US-IL', 'US', None)
    """
    if country is None:
        return None
    return f"{country}-{region}" if region else country
