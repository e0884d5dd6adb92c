"""Numbers, services and their senders, whose state depends on each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.classic import (
    available_numbers,
    incoming_numbers,
    messages,
    short_codes,
)
from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.emulator.classic.inventory import (
    NUMBER_SID,
    SECOND_NUMBER_SID,
    SHORT_CODE_SID,
    WHATSAPP_SENDER_SID,
)
from airflow_provider_twilio_comms.emulator.credentials import SUSPENDED_SID, TEST_SID, TEST_TOKEN
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator.classic.resources import CallRunner, code_of, refused

TO = "+12025550100"
NUMBERS = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json"


def numbers(run: CallRunner, **only: Any) -> list[str | None]:
    return [number.phone_number for number in run(incoming_numbers.list(**only)).items]


def test_a_number_from_the_shop_to_the_message_and_back(run: CallRunner) -> None:
    offer = run(available_numbers.search("US", contains="*0143")).items[0]
    bought = run(incoming_numbers.buy(offer.phone_number, friendly_name="Orders"))
    assert (bought.phone_number, bought.friendly_name, bought.type) == (offer.phone_number, "Orders", "local")
    assert numbers(run)[0] == offer.phone_number
    assert numbers(run, friendly_name="Orders") == [offer.phone_number]
    assert run(available_numbers.search("US", contains="*0143")).items == []

    service = run(services.create("Shop")).sid
    entry = run(senders.create_phone_number(service, bought.sid))
    assert (entry.phone_number, entry.capabilities) == (offer.phone_number, ("MMS", "SMS", "Voice"))
    message = run(messages.send(TO, messaging_service_sid=service, body="Hi"))
    run.twilio.clock.advance(20)
    assert run(messages.fetch(message.sid)).from_ == offer.phone_number
    assert run(messages.send(TO, from_=offer.phone_number, body="Hi")).status == "queued"

    run(incoming_numbers.release(bought.sid))
    assert offer.phone_number not in numbers(run)
    assert run(senders.list_phone_numbers(service)).items == []
    assert refused(run, messages.send(TO, from_=offer.phone_number, body="Hi")) == 21606
    assert refused(run, incoming_numbers.fetch(bought.sid)) == 20404
    assert len(run(available_numbers.search("US", contains="*0143")).items) == 1


@pytest.mark.parametrize("test_credentials", [False, True])
@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"phone_number": "+15005550000"}, 21422),
        ({"phone_number": "+15005550001"}, 21421),
        ({"phone_number": "+15005550006"}, None),
        ({"area_code": "533"}, 21452),
        ({"area_code": "500"}, None),
    ],
)
def test_magic_numbers(
    as_someone: Callable[..., CallRunner],
    run: CallRunner,
    wanted: dict[str, str],
    code: int | None,
    test_credentials: bool,
) -> None:
    runner = as_someone(TEST_SID, TEST_TOKEN) if test_credentials else run
    call = incoming_numbers.buy(**wanted)  # type: ignore[arg-type]
    if code:
        assert refused(runner, call) == code
    else:
        assert runner(call).sid.startswith("PN")
    assert len(numbers(run)) == (3 if wanted == {"area_code": "500"} and not test_credentials else 2)


def test_an_exact_number_is_bought_once_and_an_area_code_again_and_again(run: CallRunner) -> None:
    run(incoming_numbers.buy("+12025550143"))
    assert refused(run, incoming_numbers.buy("+12025550143")) == 21422
    first, second = (run(incoming_numbers.buy(area_code="212")).phone_number for _ in range(2))
    assert first != second


def test_what_a_country_asks_for(run: CallRunner) -> None:
    assert refused(run, incoming_numbers.buy("+33199000143")) == 21631
    assert run(incoming_numbers.buy("+33199000143", address_sid="AD" + "0" * 32)).type == "local"
    assert refused(run, incoming_numbers.buy("+491525550143")) == 21649
    assert run(incoming_numbers.buy("+491525550143", bundle_sid="BU" + "0" * 32)).type == "mobile"


def test_kinds(run: CallRunner) -> None:
    run(incoming_numbers.buy("+18005550143", kind="toll_free"))
    assert numbers(run, kind="toll_free") == ["+18005550143"]
    assert numbers(run, kind="mobile") == []
    assert refused(run, incoming_numbers.buy("+18005550144", kind="local")) == 21422
    assert refused(run, available_numbers.search("DE", "toll_free")) == 20404
    assert refused(run, available_numbers.country("XX")) == 20404


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ([], 21451),
        ([("PhoneNumber", "nobody's")], 21421),
        ([("AreaCode", "five")], 21451),
        ([("AreaCode", "500"), ("BundleSid", "x")], 21649),
        ([("AreaCode", "500"), ("SmsMethod", "PUT")], 20001),
        ([("AreaCode", "500"), ("Colour", "red")], 20001),
    ],
)
def test_bad_input_gets_twilios_code(run: CallRunner, form: list[tuple[str, str]], code: int) -> None:
    assert code_of(lambda: run.form(NUMBERS, form)) == code
    assert len(numbers(run)) == 2


def test_changes_stay(run: CallRunner) -> None:
    changed = run(incoming_numbers.update(NUMBER_SID, friendly_name="Orders", sms_url="https://example.com/"))
    assert run(incoming_numbers.fetch(NUMBER_SID)) == changed
    assert (changed.friendly_name, changed.sms_url) == ("Orders", "https://example.com/")
    assert run(incoming_numbers.update(NUMBER_SID, sms_url="")).sms_url == ""
    assert run(short_codes.update(SHORT_CODE_SID, friendly_name="Vote")).friendly_name == "Vote"
    assert [each.short_code for each in run(short_codes.list(friendly_name="Vote")).items] == ["12345"]


def test_a_number_handed_to_another_account_is_gone(run: CallRunner) -> None:
    service = run(services.create("Shop")).sid
    run(senders.create_phone_number(service, SECOND_NUMBER_SID))
    assert (
        run(incoming_numbers.update(SECOND_NUMBER_SID, account_sid=SUSPENDED_SID)).account_sid
        == SUSPENDED_SID
    )
    assert numbers(run) == ["+15005550006"]
    assert run(senders.list_phone_numbers(service)).items == []


# services


def test_a_service_keeps_what_it_is_told(run: CallRunner) -> None:
    made = run(services.create("Shop", sticky_sender=False, validity_period=600))
    assert (made.sticky_sender, made.validity_period, made.mms_converter) == (False, 600, True)
    run.twilio.clock.advance(5)
    changed = run(services.update(made.sid, friendly_name="Shop 2"))
    assert (changed.friendly_name, changed.sticky_sender) == ("Shop 2", False)
    assert changed.date_updated != changed.date_created
    assert [each.sid for each in run(services.list()).items] == [made.sid]
    run(services.delete(made.sid))
    assert refused(run, services.fetch(made.sid)) == 20404
    assert code_of(lambda: run.form("/v1/Services", [("StickySender", "true")], "messaging")) == 20001


def test_a_sender_is_in_one_service_once(run: CallRunner) -> None:
    first, second = (run(services.create(name)).sid for name in ("One", "Two"))
    pools: list[tuple[Callable[[str, str], Call[Any]], str]] = [
        (senders.create_phone_number, NUMBER_SID),
        (senders.create_short_code, SHORT_CODE_SID),
    ]
    for create, sid in pools:
        run(create(first, sid))
        assert refused(run, create(first, sid)) == 21710
        assert refused(run, create(second, sid)) == 21712
    run(senders.delete_phone_number(first, NUMBER_SID))
    assert run(senders.create_phone_number(second, NUMBER_SID)).service_sid == second
    run(services.delete(first))
    assert run(senders.create_short_code(second, SHORT_CODE_SID)).short_code == "12345"
    run(senders.create_channel_sender(second, WHATSAPP_SENDER_SID))
    assert refused(run, senders.create_channel_sender(second, WHATSAPP_SENDER_SID)) == 21710


def test_a_pool_has_an_end(run: CallRunner) -> None:
    service = run(services.create("Big")).sid
    for area_code in ("202", "212", "415", "646", "500"):
        for _ in range(100 if area_code != "500" else 0):
            run(senders.create_phone_number(service, run(incoming_numbers.buy(area_code=area_code)).sid))
    assert refused(run, senders.create_phone_number(service, NUMBER_SID)) == 21714


def test_alpha_senders(run: CallRunner) -> None:
    service = run(services.create("Shop")).sid
    path = f"/v1/Services/{service}/AlphaSenders"
    assert code_of(lambda: run.form(path, [("AlphaSender", "12345")], "messaging")) == 21709
    made = run(senders.create_alpha_sender(service, "Shop"))
    assert run(senders.fetch_alpha_sender(service, made.sid)).alpha_sender == "Shop"
    assert refused(run, senders.create_alpha_sender(service, "Shop")) == 21710
    run(senders.create_destination_alpha_sender(service, "Shop", "FR"))
    run(senders.create_destination_alpha_sender(service, "Shop"))
    countries = [each.iso_country_code for each in run(senders.list_destination_alpha_senders(service)).items]
    assert countries == ["FR", ""]
    assert len(run(senders.list_destination_alpha_senders(service, iso_country_code="FR")).items) == 1


def test_what_is_not_there(run: CallRunner, twilio: Twilio) -> None:
    service = run(services.create("Shop")).sid
    for call in (
        senders.create_phone_number(service, "PN" + "0" * 32),
        senders.create_channel_sender(service, "XE" + "0" * 32),
        senders.fetch_short_code(service, SHORT_CODE_SID),
        senders.delete_phone_number(service, NUMBER_SID),
        senders.list_phone_numbers("MG" + "0" * 32),
        short_codes.fetch("SC" + "0" * 32),
    ):
        assert refused(run, call) == 20404
