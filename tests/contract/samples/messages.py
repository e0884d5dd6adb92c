"""Accounts, messages, their media and feedback."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from airflow_provider_twilio_comms.api.classic import accounts, feedback, media, messages
from tests.contract.world import URL, URL_, A, Sample, World

BERLIN = timezone(timedelta(hours=2))


def soon(world: World) -> datetime:
    return world.now + timedelta(hours=1)


SAMPLES = [
    Sample("accounts.fetch", lambda w: accounts.fetch(), f"GET {A}.json"),
    Sample("accounts.fetch", lambda w: accounts.fetch(w.account), f"GET {A}.json"),
    # messages
    Sample(
        "messages.send",
        lambda w: messages.send(w.to, from_=w.sender, body="Ünï & co"),
        f"POST {A}/Messages.json",
        "To=<to>&From=<sender>&Body=%C3%9Cn%C3%AF+%26+co",
    ),
    Sample(
        "messages.send",
        lambda w: messages.send(
            w.to,
            messaging_service_sid=w.service,
            content_sid=w.content,
            content_variables={"1": "Ada"},
            send_at=soon(w).astimezone(BERLIN),
            validity_period=600,
        ),
        f"POST {A}/Messages.json",
        "To=<to>&MessagingServiceSid=<service>&ContentSid=<content>"
        "&ContentVariables=%7B%221%22%3A%22Ada%22%7D"
        "&SendAt=2026-07-01T10%3A30%3A00Z&ValidityPeriod=600&ScheduleType=fixed",
    ),
    Sample(
        "messages.send",
        lambda w: messages.send(
            f"whatsapp:{w.to}",
            from_=f"whatsapp:{w.whatsapp}",
            body="Look",
            media_url=[URL, URL],
            status_callback=URL,
            application_sid="AP" + "0" * 32,
            provide_feedback=True,
            smart_encoded=False,
            send_as_mms=True,
            force_delivery=False,
            content_retention="retain",
            address_retention="obfuscate",
            risk_check="disable",
            message_intent="delivery",
            persistent_action=["mailto:a@example.com"],
            traffic_type="free",
            attempt=1,
            max_price=Decimal("0.5"),
            tags={"campaign": "spring"},
        ),
        f"POST {A}/Messages.json",
        f"To=whatsapp%3A<to>&From=whatsapp%3A<whatsapp>&Body=Look&MediaUrl={URL_}&MediaUrl={URL_}"
        f"&StatusCallback={URL_}&ApplicationSid=AP{'0' * 32}&ProvideFeedback=true"
        "&SmartEncoded=false&SendAsMms=true"
        "&ForceDelivery=false&ContentRetention=retain&AddressRetention=obfuscate&RiskCheck=disable"
        "&MessageIntent=delivery&PersistentAction=mailto%3Aa%40example.com&TrafficType=free"
        "&Attempt=1&MaxPrice=0.5"
        "&Tags=%7B%22campaign%22%3A%22spring%22%7D",
    ),
    Sample(
        "messages.send",
        lambda w: messages.send(
            w.to, messaging_service_sid=w.service, body=URL, shorten_urls=True, fallback_from=w.sender
        ),
        f"POST {A}/Messages.json",
        f"To=<to>&MessagingServiceSid=<service>&Body={URL_}&ShortenUrls=true&FallbackFrom=<sender>",
    ),
    Sample("messages.list", lambda w: messages.list(), f"GET {A}/Messages.json"),
    Sample(
        "messages.list",
        lambda w: messages.list(
            to=w.to,
            from_=w.sender,
            sent_on_or_after=date(2026, 7, 1),
            sent_on_or_before=datetime(2026, 7, 2, 1, tzinfo=BERLIN),
            page_size=20,
        ),
        f"GET {A}/Messages.json?PageSize=20&To=<to>&From=<sender>&DateSent%3C=2026-07-01T23%3A00%3A00Z"
        "&DateSent%3E=2026-07-01",
    ),
    Sample(
        "messages.list",
        lambda w: messages.list(sent_on=date(2026, 7, 1)),
        f"GET {A}/Messages.json?DateSent=2026-07-01",
    ),
    Sample(
        "messages.list",
        lambda w: messages.list(sent_on=datetime(2026, 7, 2, 1, tzinfo=BERLIN)),
        f"GET {A}/Messages.json?DateSent=2026-07-01",
    ),
    Sample("messages.fetch", lambda w: messages.fetch(w.message), f"GET {A}/Messages/<message>.json"),
    Sample(
        "messages.redact", lambda w: messages.redact(w.message), f"POST {A}/Messages/<message>.json", "Body="
    ),
    Sample(
        "messages.cancel",
        lambda w: messages.cancel(w.scheduled),
        f"POST {A}/Messages/<scheduled>.json",
        "Status=canceled",
    ),
    Sample("messages.delete", lambda w: messages.delete(w.message), f"DELETE {A}/Messages/<message>.json"),
    # their media and feedback
    Sample("media.list", lambda w: media.list(w.with_media), f"GET {A}/Messages/<with_media>/Media.json"),
    Sample(
        "media.list",
        lambda w: media.list(
            w.with_media,
            created_on=date(2026, 7, 1),
            created_on_or_after=date(2026, 7, 1),
            created_on_or_before=date(2026, 7, 2),
            page_size=1,
        ),
        f"GET {A}/Messages/<with_media>/Media.json?PageSize=1&DateCreated=2026-07-01"
        "&DateCreated%3C=2026-07-02"
        "&DateCreated%3E=2026-07-01",
    ),
    Sample(
        "media.fetch",
        lambda w: media.fetch(w.with_media, w.media),
        f"GET {A}/Messages/<with_media>/Media/<media>.json",
    ),
    Sample(
        "media.delete",
        lambda w: media.delete(w.with_media, w.media),
        f"DELETE {A}/Messages/<with_media>/Media/<media>.json",
    ),
    Sample(
        "media.download",
        lambda w: media.download(w.with_media, w.media),
        f"GET {A}/Messages/<with_media>/Media/<media>",
    ),
    Sample(
        "feedback.create",
        lambda w: feedback.create(w.message, "confirmed"),
        f"POST {A}/Messages/<message>/Feedback.json",
        "Outcome=confirmed",
    ),
]
