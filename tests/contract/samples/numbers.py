"""Short codes, numbers to buy, and numbers bought."""

from __future__ import annotations

from typing import Any

from airflow_provider_twilio_comms.api.classic import available_numbers, incoming_numbers, short_codes
from tests.contract.world import URL, URL_, A, Sample

SETTINGS: dict[str, Any] = {
    "friendly_name": "Orders",
    "sms_url": URL,
    "sms_method": "POST",
    "sms_fallback_url": "",
    "sms_fallback_method": "GET",
    "sms_application_sid": "AP" + "0" * 32,
    "status_callback": URL,
    "status_callback_method": "POST",
    "voice_url": URL,
    "voice_method": "POST",
    "voice_fallback_url": URL,
    "voice_fallback_method": "POST",
    "voice_application_sid": "AP" + "0" * 32,
    "voice_caller_id_lookup": True,
    "voice_receive_mode": "voice",
    "emergency_status": "Inactive",
    "emergency_address_sid": "AD" + "0" * 32,
    "address_sid": "AD" + "0" * 32,
    "bundle_sid": "BU" + "0" * 32,
    "identity_sid": "RI" + "0" * 32,
    "trunk_sid": "TK" + "0" * 32,
    "api_version": "2010-04-01",
}
SETTINGS_ = (
    f"FriendlyName=Orders&ApiVersion=2010-04-01&SmsUrl={URL_}&SmsMethod=POST&SmsFallbackUrl="
    "&SmsFallbackMethod=GET"
    f"&SmsApplicationSid=AP{'0' * 32}&StatusCallback={URL_}&StatusCallbackMethod=POST&VoiceUrl={URL_}"
    f"&VoiceMethod=POST&VoiceFallbackUrl={URL_}&VoiceFallbackMethod=POST&VoiceApplicationSid=AP{'0' * 32}"
    "&VoiceCallerIdLookup=true&VoiceReceiveMode=voice&EmergencyStatus=Inactive"
    f"&EmergencyAddressSid=AD{'0' * 32}"
    f"&AddressSid=AD{'0' * 32}&BundleSid=BU{'0' * 32}&IdentitySid=RI{'0' * 32}&TrunkSid=TK{'0' * 32}"
)


def search(country: str, kind: available_numbers.Kind, word: str) -> Sample:
    return Sample(
        "available_numbers.search",
        lambda w: available_numbers.search(country, kind),
        f"GET {A}/AvailablePhoneNumbers/{country}/{word}.json",
    )


def listing(kind: incoming_numbers.Kind | None, word: str) -> Sample:
    return Sample(
        "incoming_numbers.list",
        lambda w: incoming_numbers.list(kind),
        f"GET {A}/IncomingPhoneNumbers{word}.json",
    )


def purchase(kind: incoming_numbers.Kind, word: str, name: str) -> Sample:
    return Sample(
        "incoming_numbers.buy",
        lambda w: incoming_numbers.buy(getattr(w, name), kind=kind, friendly_name="Orders"),
        f"POST {A}/IncomingPhoneNumbers/{word}.json",
        f"FriendlyName=Orders&PhoneNumber=<{name}>",
    )


SAMPLES = [
    Sample("short_codes.list", lambda w: short_codes.list(), f"GET {A}/SMS/ShortCodes.json"),
    Sample(
        "short_codes.list",
        lambda w: short_codes.list(friendly_name="Orders", short_code="12345", page_size=5),
        f"GET {A}/SMS/ShortCodes.json?PageSize=5&FriendlyName=Orders&ShortCode=12345",
    ),
    Sample(
        "short_codes.fetch",
        lambda w: short_codes.fetch(w.short_code),
        f"GET {A}/SMS/ShortCodes/<short_code>.json",
    ),
    Sample(
        "short_codes.update",
        lambda w: short_codes.update(
            w.short_code,
            friendly_name="Orders",
            api_version="2010-04-01",
            sms_url=URL,
            sms_method="POST",
            sms_fallback_url="",
            sms_fallback_method="GET",
        ),
        f"POST {A}/SMS/ShortCodes/<short_code>.json",
        f"FriendlyName=Orders&ApiVersion=2010-04-01&SmsUrl={URL_}&SmsMethod=POST&SmsFallbackUrl="
        "&SmsFallbackMethod=GET",
    ),
    # numbers to buy, and bought
    Sample(
        "available_numbers.countries",
        lambda w: available_numbers.countries(),
        f"GET {A}/AvailablePhoneNumbers.json",
    ),
    Sample(
        "available_numbers.country",
        lambda w: available_numbers.country("US"),
        f"GET {A}/AvailablePhoneNumbers/US.json",
    ),
    Sample(
        "available_numbers.search",
        lambda w: available_numbers.search(
            "US",
            area_code=202,
            contains="555*1",
            sms_enabled=True,
            mms_enabled=True,
            voice_enabled=True,
            fax_enabled=False,
            exclude_all_address_required=False,
            exclude_local_address_required=False,
            exclude_foreign_address_required=False,
            beta=False,
            near_number="+12025550100",
            near_lat_long="38.9,-77.03",
            distance=100,
            in_postal_code="20001",
            in_region="DC",
            in_rate_center="WSHNGTNZN1",
            in_lata="236",
            in_locality="Washington",
            page_size=2,
        ),
        f"GET {A}/AvailablePhoneNumbers/US/Local.json?PageSize=2&AreaCode=202&Contains=555%2A1"
        "&SmsEnabled=true"
        "&MmsEnabled=true&VoiceEnabled=true&FaxEnabled=false&ExcludeAllAddressRequired=false"
        "&ExcludeLocalAddressRequired=false&ExcludeForeignAddressRequired=false&Beta=false"
        "&NearNumber=%2B12025550100&NearLatLong=38.9%2C-77.03&Distance=100&InPostalCode=20001&InRegion=DC"
        "&InRateCenter=WSHNGTNZN1&InLata=236&InLocality=Washington",
    ),
    search("GB", "mobile", "Mobile"),
    search("US", "toll_free", "TollFree"),
    search("GB", "national", "National"),
    search("GB", "voip", "Voip"),
    search("GB", "shared_cost", "SharedCost"),
    search("GB", "machine_to_machine", "MachineToMachine"),
    listing(None, ""),
    listing("local", "/Local"),
    listing("mobile", "/Mobile"),
    listing("toll_free", "/TollFree"),
    Sample(
        "incoming_numbers.list",
        lambda w: incoming_numbers.list(
            phone_number="+1500*", friendly_name="Orders", origin="twilio", beta=False, page_size=1000
        ),
        f"GET {A}/IncomingPhoneNumbers.json?PageSize=1000&PhoneNumber=%2B1500%2A"
        "&FriendlyName=Orders&Origin=twilio"
        "&Beta=false",
    ),
    Sample(
        "incoming_numbers.buy",
        lambda w: incoming_numbers.buy(w.for_sale, **SETTINGS),
        f"POST {A}/IncomingPhoneNumbers.json",
        f"{SETTINGS_}&PhoneNumber=<for_sale>",
    ),
    Sample(
        "incoming_numbers.buy",
        lambda w: incoming_numbers.buy(area_code="500"),
        f"POST {A}/IncomingPhoneNumbers.json",
        "AreaCode=500",
    ),
    purchase("local", "Local", "for_sale"),
    purchase("mobile", "Mobile", "for_sale_mobile"),
    purchase("toll_free", "TollFree", "for_sale_toll_free"),
    Sample(
        "incoming_numbers.fetch",
        lambda w: incoming_numbers.fetch(w.number),
        f"GET {A}/IncomingPhoneNumbers/<number>.json",
    ),
    Sample(
        "incoming_numbers.update",
        lambda w: incoming_numbers.update(w.number, **SETTINGS, account_sid=w.account),
        f"POST {A}/IncomingPhoneNumbers/<number>.json",
        f"{SETTINGS_}&AccountSid=<account>",
    ),
    Sample(
        "incoming_numbers.release",
        lambda w: incoming_numbers.release(w.spare_number),
        f"DELETE {A}/IncomingPhoneNumbers/<spare_number>.json",
    ),
]
