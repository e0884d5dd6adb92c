"""Usage, prices, lookups, content templates."""

from __future__ import annotations

from datetime import date

from airflow_provider_twilio_comms.api import content, lookups, pricing
from airflow_provider_twilio_comms.api.classic import accounts, usage
from tests.contract.world import A, Sample

TEXT = {"twilio/text": {"body": "Hello {{1}}"}}


def records(period: usage.Period | None, word: str) -> Sample:
    return Sample("usage.records", lambda w: usage.records(period), f"GET {A}/Usage/Records{word}.json")


SAMPLES = [
    records(None, ""),
    records("all_time", "/AllTime"),
    records("daily", "/Daily"),
    records("last_month", "/LastMonth"),
    records("monthly", "/Monthly"),
    records("this_month", "/ThisMonth"),
    records("today", "/Today"),
    records("yearly", "/Yearly"),
    records("yesterday", "/Yesterday"),
    Sample(
        "usage.records",
        lambda w: usage.records(
            category="sms-outbound",
            start_date=date(2026, 6, 1),
            end_date=date(2026, 6, 30),
            include_subaccounts=False,
            page_size=10,
        ),
        f"GET {A}/Usage/Records.json?PageSize=10&Category=sms-outbound&StartDate=2026-06-01"
        "&EndDate=2026-06-30"
        "&IncludeSubaccounts=false",
    ),
    Sample("usage.balance", lambda w: usage.balance(), f"GET {A}/Balance.json"),
    Sample(
        "accounts.list",
        lambda w: accounts.list(friendly_name="Shop", status="active", page_size=5),
        "GET /2010-04-01/Accounts.json?PageSize=5&FriendlyName=Shop&Status=active",
    ),
    Sample("pricing.list", lambda w: pricing.list(page_size=3), "GET /v1/Messaging/Countries?PageSize=3"),
    Sample("pricing.fetch", lambda w: pricing.fetch("US"), "GET /v1/Messaging/Countries/US"),
    Sample("pricing.list_numbers", lambda w: pricing.list_numbers(), "GET /v1/PhoneNumbers/Countries"),
    Sample(
        "pricing.fetch_numbers", lambda w: pricing.fetch_numbers("GB"), "GET /v1/PhoneNumbers/Countries/GB"
    ),
    Sample("lookups.fetch", lambda w: lookups.fetch(w.to), "GET /v2/PhoneNumbers/<to>"),
    Sample(
        "lookups.fetch",
        lambda w: lookups.fetch(
            "(415) 555-2671",
            ["line_type_intelligence", "identity_match"],
            country_code="US",
            first_name="Ada",
            last_name="Lovelace",
            address_line1="1 Main St",
            address_line2="c/o Babbage",
            city="San Francisco",
            state="CA",
            postal_code="94105",
            address_country_code="US",
            national_id="123",
            date_of_birth="18151210",
            last_verified_date="20260101",
            verification_sid="VE" + "0" * 32,
            partner_sub_id="shop",
        ),
        "GET /v2/PhoneNumbers/%28415%29%20555-2671?Fields=line_type_intelligence%2Cidentity_match"
        "&CountryCode=US"
        "&FirstName=Ada&LastName=Lovelace&AddressLine1=1+Main+St&AddressLine2=c%2Fo+Babbage"
        "&City=San+Francisco"
        "&State=CA&PostalCode=94105&AddressCountryCode=US&NationalId=123&DateOfBirth=18151210"
        f"&LastVerifiedDate=20260101&VerificationSid=VE{'0' * 32}&PartnerSubId=shop",
    ),
    Sample(
        "content.create",
        lambda w: content.create(TEXT, language="en", friendly_name="hello", variables={"1": "Ada"}),
        "POST /v1/Content",
        json={"friendly_name": "hello", "language": "en", "variables": {"1": "Ada"}, "types": TEXT},
    ),
    Sample("content.list", lambda w: content.list(page_size=7), "GET /v1/Content?PageSize=7"),
    Sample(
        "content.list_with_approvals",
        lambda w: content.list_with_approvals(),
        "GET /v1/ContentAndApprovals",
    ),
    Sample("content.fetch", lambda w: content.fetch(w.content), "GET /v1/Content/<content>"),
    Sample(
        "content.update",
        lambda w: content.update(w.content, TEXT, friendly_name="hello"),
        "PUT /v1/Content/<content>",
        json={"friendly_name": "hello", "types": TEXT},
    ),
    Sample("content.delete", lambda w: content.delete(w.content), "DELETE /v1/Content/<content>"),
    Sample(
        "content.approval",
        lambda w: content.approval(w.content),
        "GET /v1/Content/<content>/ApprovalRequests",
    ),
    Sample(
        "content.request_approval",
        lambda w: content.request_approval(w.content, "hello", "UTILITY"),
        "POST /v1/Content/<content>/ApprovalRequests/whatsapp",
        json={"name": "hello", "category": "UTILITY"},
    ),
    Sample(
        "content.request_approval",
        lambda w: content.request_approval(w.content, "hello_again", "UTILITY", allow_category_change=False),
        "POST /v1/Content/<content>/ApprovalRequests/whatsapp",
        json={"name": "hello_again", "category": "UTILITY", "allow_category_change": False},
    ),
]
