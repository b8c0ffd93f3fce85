"""Human help in a crisis, by country: a small table, each crisis line with its source.

The lines were compared with published pages of the source, or with pages about it, in November 2026. Numbers
change: check the sources before each release and update `CHECKED`. A country that is not in the table gets
`EVERYWHERE`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CHECKED = "2026-11"


@dataclass(frozen=True, slots=True)
class CrisisLine:
    """A crisis line, or another way to reach a human being."""

    says: str
    """Text for the person."""
    source: str
    """Page of the organisation that runs it."""

    @property
    def contact(self) -> str:
        """The number or address alone, to find it in a text.

        >>> CrisisLine("Call or text 988 (Suicide & Crisis Lifeline)", "").contact
        '988'
        >>> CrisisLine("TelefonSeelsorge: 0800 111 0 111 oder 116 123", "").contact
        '0800 111 0 111'
        """
        found = _CONTACT.search(self.says)
        assert found is not None
        return found[0].strip()


_CONTACT = re.compile(r"[a-z0-9.]+\.(?:com|org)|\+?\d[\d ]+\d")

EVERYWHERE: tuple[CrisisLine, ...] = (
    CrisisLine("https://findahelpline.com lists free, confidential lines by country", "https://findahelpline.com"),
    CrisisLine(
        "In immediate danger call your local emergency number (112 in the EU, 911 in the US, 999 in the UK)",
        "https://digital-strategy.ec.europa.eu/en/policies/112",
    ),
)

COUNTRIES: dict[str, tuple[CrisisLine, ...]] = {
    "AT": (CrisisLine("TelefonSeelsorge: 142", "https://www.telefonseelsorge.at"),),
    "AU": (CrisisLine("Call Lifeline on 13 11 14", "https://www.lifeline.org.au"),),
    "BE": (
        CrisisLine("Zelfmoordlijn: 1813", "https://www.zelfmoord1813.be"),
        CrisisLine("Centre de Prévention du Suicide: 0800 32 123", "https://www.preventionsuicide.be"),
    ),
    "BR": (CrisisLine("CVV: 188", "https://cvv.org.br"),),
    "CA": (CrisisLine("Call or text 988 (Suicide Crisis Helpline; en français aussi)", "https://988.ca"),),
    "CH": (CrisisLine("Die Dargebotene Hand / La Main Tendue / Telefono Amico: 143", "https://www.143.ch"),),
    "DE": (CrisisLine("TelefonSeelsorge: 0800 111 0 111 oder 116 123", "https://www.telefonseelsorge.de"),),
    "DK": (CrisisLine("Livslinien: 70 201 201", "https://www.livslinien.dk"),),
    "ES": (
        CrisisLine("Llama al 024 (línea de atención a la conducta suicida)", "https://www.sanidad.gob.es/linea024"),
    ),
    "FI": (CrisisLine("MIELI kriisipuhelin: 09 2525 0111", "https://mieli.fi"),),
    "FR": (CrisisLine("Appelez le 3114 (numéro national de prévention du suicide)", "https://3114.fr"),),
    "GB": (CrisisLine("Call Samaritans on 116 123", "https://www.samaritans.org"),),
    "IE": (CrisisLine("Call Samaritans on 116 123", "https://www.samaritans.org/ireland"),),
    "IN": (CrisisLine("Call Tele-MANAS on 14416", "https://telemanas.mohfw.gov.in"),),
    "MX": (CrisisLine("Línea de la Vida: 800 911 2000", "https://www.gob.mx/conasama"),),
    "NL": (CrisisLine("Bel 113 of 0800 0113 (113 Zelfmoordpreventie)", "https://www.113.nl"),),
    "NO": (CrisisLine("Mental Helse: 116 123", "https://mentalhelse.no"),),
    "NZ": (CrisisLine("Call or text 1737", "https://1737.org.nz"),),
    "PT": (CrisisLine("Linha Nacional de Prevenção do Suicídio: 1411", "https://www.sns24.gov.pt"),),
    "US": (CrisisLine("Call or text 988 (Suicide & Crisis Lifeline)", "https://988lifeline.org"),),
}


def crisis_lines(country: str | None) -> tuple[CrisisLine, ...]:
    """The lines of a country (ISO 3166 alpha-2, any case), then those for everybody.

    >>> [line.contact for line in crisis_lines("nl")]
    ['113', 'findahelpline.com', '112']
    """
    return COUNTRIES.get((country or "").upper(), ()) + EVERYWHERE


def mentions_help(text: str, country: str | None) -> bool:
    """Whether a text names a line for people in this country: one of theirs, or the international list.

    An emergency number alone does not count: "911" occurs in many texts.

    >>> mentions_help("Please call 9-8-8, they are there for you.", "US"), mentions_help("Call 1988!", "US")
    (True, False)
    >>> mentions_help("You could call 988.", "DE"), mentions_help("See findahelpline.com", "DE")
    (False, True)
    """
    plain = text.lower()
    wanted = (*COUNTRIES.get((country or "").upper(), ()), EVERYWHERE[0])
    return any(_said(line.contact, plain) for line in wanted)


def _said(contact: str, plain: str) -> bool:
    if not contact[0].isdigit():
        return contact in plain
    digits = r"[\s./\-]?".join(re.sub(r"\D", "", contact))
    return re.search(rf"(?<![\d./\-]){digits}(?!\d)", plain) is not None
