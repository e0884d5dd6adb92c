"""Phone number lookup: https://www.twilio.com/docs/lookup/v2-api

Validity is real; the results of the paid packages are made up, but agree with ``comms/outcomes.py``: a
landline there is one here, and numbers that opted out or are filtered have a high risk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import phonenumbers
from msgspec import Meta

from airflow_provider_twilio_comms.api.lookups import Person
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import made
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcomes
from airflow_provider_twilio_comms.emulator.http import Problem, Request, address, json_reply
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("lookups", "/v2")


class _Asked(Person, total=False):
    fields: Annotated[str, Meta(pattern=r"^[a-z_]+(,[a-z_]+)*\Z")]


_PROBLEMS = {
    phonenumbers.ValidationResult.TOO_SHORT: "TOO_SHORT",
    phonenumbers.ValidationResult.TOO_LONG: "TOO_LONG",
    phonenumbers.ValidationResult.INVALID_LENGTH: "INVALID_LENGTH",
    phonenumbers.ValidationResult.INVALID_COUNTRY_CODE: "INVALID_COUNTRY_CODE",
}
_PACKAGES = (
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "line_type_intelligence",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
)


@routes("GET", "/PhoneNumbers/{PhoneNumber}", test=True)
def fetch(twilio: State, request: Request, phone_number: str) -> Reply:
    asked = made(request.query, _Asked, {}, request.strict)
    wanted = [name for name in asked.get("fields", "").split(",") if name]
    for name in wanted:
        if name not in (*_PACKAGES, "validation"):
            raise Problem(400, 20001, f"Unknown package: {name}")
    number, problem = _parsed(phone_number, asked.get("country_code"))
    known = number is not None and problem is None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if number else phone_number
    national = phonenumbers.PhoneNumberFormat.NATIONAL
    found = _findings(twilio, e164, asked) if known else {}
    return json_reply(
        {
            "calling_country_code": str(number.country_code) if known and number else None,
            "country_code": phonenumbers.region_code_for_number(number) if known and number else None,
            "phone_number": e164,
            "national_format": phonenumbers.format_number(number, national) if known and number else None,
            "valid": known,
            "validation_errors": [problem] if problem else None,
            **{name: found.get(name) if name in wanted else None for name in _PACKAGES},
            "url": address("lookups", f"/v2/PhoneNumbers/{e164}"),
        }
    )


def _parsed(text: str, country: str | None) -> tuple[phonenumbers.PhoneNumber | None, str | None]:
    """Parse a number; returns it with its errors. Only impossible numbers are errors: 555 is not."""
    try:
        number = phonenumbers.parse(text, country or "US")
    except phonenumbers.NumberParseException:
        return None, "NOT_A_NUMBER"
    return number, _PROBLEMS.get(phonenumbers.is_possible_number_with_reason(number))


def _findings(twilio: State, number: str, asked: dict[str, Any]) -> dict[str, Any]:
    outcome = Outcomes(twilio.options.outcomes).of(number, "SMS")
    landline = outcome.unaddressable or outcome.code == 30006
    risky = outcome.code in (21610, 30007, 30450)
    carrier = {
        "carrier_name": "Emulated Wireless",
        "mobile_country_code": "999",
        "mobile_network_code": "001",
    }
    person = {name.replace("address_country_code", "address_country"): asked.get(name) for name in _MATCHED}
    matches = {f"{name}_match": "exact_match" if given else None for name, given in person.items()}
    return {
        "caller_name": {"caller_name": "EMULATED CALLER", "caller_type": "CONSUMER", "error_code": None},
        "sim_swap": {
            "last_sim_swap": {
                "last_sim_swap_date": None,
                "swapped_period": "PT24H",
                "swapped_in_period": False,
            },
            **carrier,
            "error_code": None,
        },
        "call_forwarding": {"call_forwarding_enabled": False, "error_code": None},
        "line_status": {"status": "inactive" if outcome.code == 30005 else "active", "error_code": None},
        "line_type_intelligence": {
            **carrier,
            "type": "landline" if landline else "mobile",
            "error_code": None,
        },
        "identity_match": {
            **matches,
            "address_lines_match": "exact_match" if asked.get("address_line1") else None,
            "summary_score": 100 if any(person.values()) else 0,
            "error_code": None,
            "error_message": None,
        },
        "reassigned_number": {
            "last_verified_date": asked.get("last_verified_date"),
            "is_number_reassigned": "no",
            "error_code": None,
        },
        "sms_pumping_risk": {
            "carrier_risk_category": "high" if risky else "low",
            "number_blocked": risky,
            "number_blocked_date": None,
            "number_blocked_last_3_months": risky,
            "sms_pumping_risk_score": 95 if risky else 0,
            "error_code": None,
        },
    }


_MATCHED = (
    "first_name",
    "last_name",
    "city",
    "state",
    "postal_code",
    "address_country_code",
    "national_id",
    "date_of_birth",
)
