"""Signatures: Twilio's own vectors, and every way around them that somebody may try."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

import pytest

from airflow_provider_twilio_comms.plugins.webhooks.signature import (
    SETTINGS,
    SIGNATURE,
    Pairs,
    Secret,
    genuine,
    parameters,
    signature,
)

TOKEN = Secret("12345")
SHARED = Secret("12345", "webhooks_sharedkey_1", "HMAC_SHA256")
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
JSON = {"content-type": "application/json"}
BODY = b'{"property": "value", "boolean": true}'
DIGEST = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


def call(number: str = "+14158675309") -> Pairs:
    return [
        ("CallSid", "CA1234567890ABCDE"),
        ("Digits", "1234"),
        ("To", "+18005551212"),
        ("From", number),
        ("Caller", number),
    ]


def passes(
    url: str, body: bytes, headers: dict[str, str], signed: str, *secrets: Secret, **others: str
) -> bool:
    given = {**headers, SIGNATURE: signed, **others}
    return genuine(secrets or (TOKEN,), url, given, body, parameters(given, body))


def test_twilios_vectors() -> None:
    assert signature(TOKEN, URL, call()) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signature(SHARED, URL, call()) == "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s="
    example = "https://example.com/myapp.php?foo=1&bar=2"
    assert signature(TOKEN, example, call("+14158675310")) == "L/OH5YylLD5NRKLltdqwSvS0BnU="
    assert hashlib.sha256(BODY).hexdigest() == DIGEST


def test_a_form_passes_and_every_change_of_it_does_not() -> None:
    body, signed = urlencode(call()).encode(), signature(TOKEN, URL, call())
    assert passes(URL, body, FORM, signed)
    assert not passes(URL, body + b"&More=1", FORM, signed)
    assert not passes(URL, urlencode(call("+14158675310")).encode(), FORM, signed)
    assert not passes(URL.replace("foo=1", "foo=2"), body, FORM, signed)
    assert not passes(URL.replace("https", "http"), body, FORM, signed)
    assert not passes(URL, body, FORM, "")
    assert not passes(URL, body, FORM, signed[:-1])
    assert not passes(URL, body, FORM, "\xff" * 28)
    assert not passes(URL, body, FORM, signed, Secret("54321"))
    assert not genuine((TOKEN,), URL, FORM, body, parameters(FORM, body))


def test_a_form_of_unclear_kind_or_bytes_is_refused() -> None:
    body, signed = urlencode(call()).encode(), signature(TOKEN, URL, call())
    assert not passes(URL, body, {}, signed)
    assert not passes(URL, body, {"content-type": "text/plain"}, signed)
    assert not passes(URL, b"A=\xff", FORM, signed)
    assert not passes(URL, b"A=%ff", FORM, signed)
    assert not passes(URL, b"&".join([b"A=1"] * 1001), FORM, signed)


def test_a_value_that_is_not_ascii_passes() -> None:
    pairs = [("Body", "Zoë 👋 = ok & fine"), ("Empty", "")]
    assert passes(URL, urlencode(pairs).encode(), FORM, signature(TOKEN, URL, pairs))


def test_repeated_names_are_signed_once_each_and_sorted() -> None:
    pairs = [("Media", "b"), ("Media", "a"), ("Media", "b")]
    signed = signature(TOKEN, URL, pairs)
    assert signed == signature(TOKEN, URL, [("Media", "a"), ("Media", "b")])
    assert passes(URL, urlencode(pairs).encode(), FORM, signed)


@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_the_schemes_own_port_may_be_signed_or_not(port: str) -> None:
    url = URL.replace(".com", f".com{port}")
    body = urlencode(call()).encode()
    other = {"": ":443", ":443": "", ":8443": ""}[port]
    assert passes(url, body, FORM, signature(TOKEN, url, call()))
    assert passes(url, body, FORM, signature(TOKEN, URL.replace(".com", f".com{other}"), call()))
    assert not passes(url, body, FORM, signature(TOKEN, URL.replace(".com", ".com:80"), call()))


def test_json_needs_the_hash_of_its_very_bytes() -> None:
    url = f"{URL}&bodySHA256={DIGEST}"
    signed = signature(TOKEN, url)
    assert passes(url, BODY, JSON, signed)
    assert passes(url, BODY, {"content-type": "application/cloudevents-batch+json"}, signed)
    assert not passes(url, BODY + b" ", JSON, signed)
    assert not passes(url, b"", JSON, signed)
    assert not passes(URL, BODY, JSON, signature(TOKEN, URL)), "no hash at all"
    twice = f"{url}&bodySHA256={DIGEST}"
    assert not passes(twice, BODY, JSON, signature(TOKEN, twice))


def test_a_signature_of_json_does_not_pass_for_a_form() -> None:
    url = f"{URL}&bodySHA256={DIGEST}"
    signed = signature(TOKEN, url)
    for headers in (FORM, {}, {"content-type": "text/plain"}):
        assert not passes(url, b"", headers, signed)
    assert not passes(url, urlencode(call()).encode(), FORM, signed)


def test_a_shared_key_signs_by_the_agreed_algorithm_only() -> None:
    body = urlencode(call()).encode()
    settings = {SETTINGS: "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}
    signed = signature(SHARED, URL, call())
    assert passes(URL, body, FORM, signed, SHARED, TOKEN, **settings)
    assert not passes(URL, body, FORM, signed, SHARED, TOKEN), "the header is missing"
    weaker = SHARED._replace(algorithm="HMAC_SHA1")
    down = {SETTINGS: "key=webhooks_sharedkey_1,algorithm=HMAC_SHA1"}
    assert not passes(URL, body, FORM, signature(weaker, URL, call()), SHARED, TOKEN, **down)
    assert not passes(URL, body, FORM, signature(weaker, URL, call()), SHARED, TOKEN, **settings)
    for other in (
        "",
        "key=,algorithm=HMAC_SHA256",
        "key=another,algorithm=HMAC_SHA256",
        "algorithm=HMAC_SHA1",
    ):
        assert not passes(URL, body, FORM, signed, SHARED, TOKEN, **{SETTINGS: other})


def test_where_only_shared_keys_are_agreed_on_the_auth_token_opens_nothing() -> None:
    body = urlencode(call()).encode()
    assert not passes(URL, body, FORM, signature(TOKEN, URL, call()), SHARED)


def test_a_secret_hides_itself() -> None:
    assert "12345" not in f"{TOKEN} {[SHARED]!r}"
