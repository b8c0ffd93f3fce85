"""The machine-readable receipt: the fields of ISO/IEC TS 27560 consent records in W3C's DPV, as JSON-LD.

The mapping follows the guide of the Data Privacy Vocabularies and Controls Community Group,
https://w3id.org/dpv/guides/consent-27560. The controller's address, contact and places of storage come from the
app's settings; what the app did not set is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.consent.receipt import DECISIONS, DOES, NOTICES, Event, Record, iso_date
from assistant.consent.register import key_of
from assistant.emotion import STATEMENT, Modality, Purpose

CONTEXT: dict[str, str] = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "loc": "https://w3id.org/dpv/loc#",
    "dct": "http://purl.org/dc/terms/",
    "attune": "urn:attune:term:",
}
_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560"

_PURPOSES: dict[Purpose, str] = {
    "tone": "dpv:ServicePersonalisation",
    "content": "dpv:ProvidePersonalisedRecommendations",
    "remember": "dpv:ServicePersonalisation",
    "research": "dpv:ResearchAndDevelopment",
}
_DATA: dict[Modality, str] = {
    "voice": "how you sound: averages of your voice over a few seconds; the recording itself is never kept",
    "text": "what you write or say, as text; the text itself is never kept",
}
RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("see and take away everything that is kept about you", "GET", "/export"),
    ("correct an estimate of your mood", "POST", "/mood/corrections"),
    ("have the use of your data restricted", "POST", "/restriction"),
    ("object to profiling for content", "POST", "/objection"),
    ("be erased", "DELETE", ""),
)


@dataclass(frozen=True, slots=True)
class ReceiptDetails:
    """What a receipt contains besides its records."""

    controller: str
    """Name of the app that is responsible for the data."""
    app: str
    person: str
    """The app's id for the person."""
    path: str
    """Path of the person in the API, such as `/v1/people/ada`."""
    places: tuple[str, ...]
    """Known places of the person and the app: ISO 3166, such as `DE` or `US-IL`."""
    mood_s: float
    """Seconds until a mood in memory expires."""
    history_days: float
    """Days that the mood history is kept."""
    baseline_days: float
    """Days that a baseline is kept after it last changed."""
    address: str | None = None
    """Postal address of the controller."""
    contact: str | None = None
    """Contact of the controller."""
    stored_in: tuple[str, ...] = ()
    """Places where the data is kept."""


def retention_text(purpose: Purpose, about: ReceiptDetails) -> str:
    """How long the data for `purpose` is kept, in words for the person."""
    shortly = f"in memory, for at most {round(about.mood_s)} seconds after you were last heard or read"
    if purpose == "remember":
        return (
            f"the history of your mood for {about.history_days:g} days, and at most eight averages of how you "
            f"usually sound or write for {about.baseline_days:g} days after they last changed, encrypted with a "
            "key of your own; all of it ends when you withdraw"
        )
    return "nothing is kept for this" if purpose == "research" else f"estimates only {shortly}"


def consent_status(record: Record) -> str:
    """The DPV status of consent after a record. It says whether the person or a rule decided."""
    if record.event == "withdrawn" and record.actor.kind != "person" and record.actor.evidence == "profile":
        return "dpv:ConsentRevoked"
    states: dict[Event, str] = {
        "granted": "dpv:ConsentGiven",
        "withdrawn": "dpv:ConsentWithdrawn",
        "expired": "dpv:ConsentExpired",
        "refused": "dpv:ConsentStatusInvalidForProcessing",
    }
    return states[record.event]


def receipt_document(record: Record, history: Sequence[Record], about: ReceiptDetails) -> dict[str, Any]:
    """The receipt for one of the `DECISIONS`, with the earlier ones about the same purpose of the same modality.

    `history` is of one person, oldest first.
    """
    modality, purpose = key_of(record)
    events = [
        one for one in history if (one.modality, one.purpose) == (modality, purpose) and one.seq <= record.seq
    ]
    return {
        "@context": CONTEXT,
        "@id": f"urn:attune:receipt:{record.id}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": _iri(f"{_SCHEMA}#receipt"),
        "dct:identifier": record.id,
        "dct:created": iso_date(record.at),
        "dct:publisher": about.controller,
        "dct:language": "en",
        "dct:description": STATEMENT,
        "dpv:hasRecordOfActivity": {
            "@id": f"urn:attune:record:{record.id}",
            "@type": "dpv:ConsentRecord",
            "dct:conformsTo": _iri(f"{_SCHEMA}#record"),
            "dct:identifier": record.id,
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": about.person},
            "dpv:hasDataController": {
                "@type": "dpv:DataController",
                "dct:identifier": about.app,
                "dpv:hasName": about.controller,
                **({"dpv:hasAddress": about.address} if about.address else {}),
                **({"dpv:hasContact": about.contact} if about.contact else {}),
            },
            "dpv:hasJurisdiction": [_place(place) for place in about.places],
            "dpv:hasNotice": {
                "@type": "dpv:ConsentNotice",
                "dct:hasVersion": record.notice,
                "dct:language": "en",
                "dct:description": NOTICES.get(record.notice or "", ""),
            },
            "dpv:hasConsentStatus": _iri(consent_status(record)),
            "dpv:hasProcess": _process(modality, purpose, about),
            "dpv:hasConsentControl": {
                "@type": "dpv:WithdrawConsent",
                "dct:description": "one request, or one event in a live stream; it counts at once",
                "attune:request": {
                    "method": "POST",
                    "path": f"{about.path}/consent",
                    "body": {"modality": modality, "purpose": purpose, "granted": False},
                },
            },
            "dpv:hasRight": [
                {
                    "@type": "dpv:DataSubjectRight",
                    "dct:description": right,
                    "attune:request": {"method": method, "path": about.path + end},
                }
                for right, method, end in RIGHTS
            ],
            "attune:events": [_event(one) for one in events if one.event in DECISIONS],
        },
    }


def _process(modality: Modality, purpose: Purpose, about: ReceiptDetails) -> dict[str, Any]:
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {"@id": _PURPOSES[purpose], "dct:description": DOES[purpose], "dct:identifier": purpose},
        "dpv:hasLegalBasis": _iri("dpv:Consent"),
        "dpv:hasPersonalData": [
            {
                "@type": "pd:Communication",
                "dct:identifier": modality,
                "dct:description": _DATA[modality],
                "dpv:hasNecessity": _iri("dpv:Optional"),
                "dpv:hasDataSource": _iri("dpv:DataSubject"),
            },
            {
                "@type": "dpv:InferredPersonalData",
                "dct:description": "an estimate of how pleasant, active and stressed it sounds, and of emotions",
                "dpv:hasNecessity": _iri("dpv:Optional"),
            },
        ],
        "dpv:hasProcessing": [_iri("dpv:Collect"), _iri("dpv:Infer"), _iri("dpv:Profiling")],
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageDuration", "dct:description": retention_text(purpose, about)},
            *_stored(about),
        ],
        "dpv:hasRecipient": {
            "@type": "dpv:Recipient",
            "dct:identifier": about.app,
            "dpv:hasName": about.controller,
            "dct:description": "nobody else: the models run on the server itself",
        },
    }


def _event(record: Record) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "dct:identifier": record.id,
        "dct:date": iso_date(record.at),
        "dpv:hasConsentStatus": _iri(consent_status(record)),
        "dpv:isIndicatedBy": _iri("dpv:DataSubject") if record.actor.kind == "person" else record.actor.kind,
        "dpv:hasIndicationMethod": record.actor.evidence,
        "attune:ledgerHash": record.hash,
    }
    if record.expires_at is not None:
        shown["dct:valid"] = iso_date(record.expires_at)
    if record.event == "refused":
        shown["attune:refusedBy"] = record.reason
    return shown


def _stored(about: ReceiptDetails) -> list[dict[str, Any]]:
    places = [_place(place) for place in about.stored_in]
    return [{"@type": "dpv:StorageLocation", "dpv:hasLocation": places}] if places else []


def _place(place: str) -> dict[str, Any]:
    return {"@id": f"loc:{place.partition('-')[0]}", "dct:identifier": place}


def _iri(name: str) -> dict[str, str]:
    return {"@id": name}
