"""Messaging services, their senders, and deactivated numbers."""

from __future__ import annotations

from datetime import date
from typing import Any

from airflow_provider_twilio_comms.api.messaging import deactivations, senders, services
from tests.contract.world import URL, URL_, Sample

SERVICE: dict[str, Any] = {
    "inbound_request_url": URL,
    "inbound_method": "POST",
    "fallback_url": "",
    "fallback_method": "GET",
    "status_callback": URL,
    "sticky_sender": True,
    "mms_converter": False,
    "smart_encoding": True,
    "scan_message_content": "inherit",
    "fallback_to_long_code": False,
    "area_code_geomatch": True,
    "validity_period": 14400,
    "synchronous_validation": False,
    "usecase": "notifications",
    "use_inbound_webhook_on_number": False,
}
SERVICE_ = (
    f"InboundRequestUrl={URL_}&InboundMethod=POST&FallbackUrl=&FallbackMethod=GET&StatusCallback={URL_}"
    "&StickySender=true&MmsConverter=false&SmartEncoding=true&ScanMessageContent=inherit"
    "&FallbackToLongCode=false"
    "&AreaCodeGeomatch=true&ValidityPeriod=14400&SynchronousValidation=false&Usecase=notifications"
    "&UseInboundWebhookOnNumber=false"
)


def entry(verb: str, kind: str, path: str, name: str) -> Sample:
    make = vars(senders)[f"{verb}_{kind}"]
    return Sample(
        f"senders.{verb}_{kind}",
        lambda w: make(w.service, getattr(w, name)),
        f"{'GET' if verb == 'fetch' else 'DELETE'} /v1/Services/<service>/{path}/<{name}>",
    )


SAMPLES = [
    Sample(
        "services.create",
        lambda w: services.create("Orders", **SERVICE),
        "POST /v1/Services",
        f"FriendlyName=Orders&{SERVICE_}",
    ),
    Sample("services.list", lambda w: services.list(page_size=20), "GET /v1/Services?PageSize=20"),
    Sample("services.fetch", lambda w: services.fetch(w.service), "GET /v1/Services/<service>"),
    Sample(
        "services.update",
        lambda w: services.update(w.service, **SERVICE, friendly_name="Orders"),
        "POST /v1/Services/<service>",
        f"{SERVICE_}&FriendlyName=Orders",
    ),
    Sample("services.delete", lambda w: services.delete(w.service), "DELETE /v1/Services/<service>"),
    Sample(
        "senders.create_phone_number",
        lambda w: senders.create_phone_number(w.service, w.spare_number),
        "POST /v1/Services/<service>/PhoneNumbers",
        "PhoneNumberSid=<spare_number>",
    ),
    Sample(
        "senders.create_short_code",
        lambda w: senders.create_short_code(w.service, w.spare_short_code),
        "POST /v1/Services/<service>/ShortCodes",
        "ShortCodeSid=<spare_short_code>",
    ),
    Sample(
        "senders.create_alpha_sender",
        lambda w: senders.create_alpha_sender(w.spare_service, "Shop & Co"),
        "POST /v1/Services/<spare_service>/AlphaSenders",
        "AlphaSender=Shop+%26+Co",
    ),
    Sample(
        "senders.create_destination_alpha_sender",
        lambda w: senders.create_destination_alpha_sender(w.service, "Shop", "DE"),
        "POST /v1/Services/<service>/DestinationAlphaSenders",
        "AlphaSender=Shop&IsoCountryCode=DE",
    ),
    Sample(
        "senders.create_destination_alpha_sender",
        lambda w: senders.create_destination_alpha_sender(w.service, "Shop"),
        "POST /v1/Services/<service>/DestinationAlphaSenders",
        "AlphaSender=Shop",
    ),
    Sample(
        "senders.create_channel_sender",
        lambda w: senders.create_channel_sender(w.service, w.spare_channel_sender),
        "POST /v1/Services/<service>/ChannelSenders",
        "Sid=<spare_channel_sender>",
    ),
    Sample(
        "senders.list_phone_numbers",
        lambda w: senders.list_phone_numbers(w.service),
        "GET /v1/Services/<service>/PhoneNumbers",
    ),
    Sample(
        "senders.list_short_codes",
        lambda w: senders.list_short_codes(w.service),
        "GET /v1/Services/<service>/ShortCodes",
    ),
    Sample(
        "senders.list_alpha_senders",
        lambda w: senders.list_alpha_senders(w.service),
        "GET /v1/Services/<service>/AlphaSenders",
    ),
    Sample(
        "senders.list_destination_alpha_senders",
        lambda w: senders.list_destination_alpha_senders(w.service, iso_country_code="FR", page_size=9),
        "GET /v1/Services/<service>/DestinationAlphaSenders?PageSize=9&IsoCountryCode=FR",
    ),
    Sample(
        "senders.list_channel_senders",
        lambda w: senders.list_channel_senders(w.service, page_size=9),
        "GET /v1/Services/<service>/ChannelSenders?PageSize=9",
    ),
    *(
        entry(verb, *row)
        for verb in ("fetch", "delete")
        for row in [
            ("phone_number", "PhoneNumbers", "number"),
            ("short_code", "ShortCodes", "short_code"),
            ("alpha_sender", "AlphaSenders", "alpha_sender"),
            ("destination_alpha_sender", "DestinationAlphaSenders", "destination"),
            ("channel_sender", "ChannelSenders", "channel_sender"),
        ]
    ),
    Sample(
        "deactivations.fetch",
        lambda w: deactivations.fetch(date(2026, 6, 30)),
        "GET /v1/Deactivations?Date=2026-06-30",
    ),
]
