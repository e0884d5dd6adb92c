"""Bad input to a message, with Twilio's code for each."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.emulator.classic.inventory import (
    RCS_SENDER_SID,
    SHORT_CODE_SID,
    WHATSAPP_SENDER_SID,
)
from tests.emulator.classic.resources import FROM, TO, CallRunner, code_of, send

MESSAGES = messages.MESSAGES


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": None}, 21604),
        ({"To": "nobody"}, 21211),
        ({"From": None}, 21603),
        ({"From": "A sender much too long"}, 21212),
        ({"From": "99999"}, 21606),
        ({"From": "whatsapp:+12025550199", "To": f"whatsapp:{TO}"}, 63007),
        ({"To": f"whatsapp:{TO}"}, 21910),
        ({"To": FROM}, 21266),
        ({"Body": None}, 21619),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"MediaUrl": "ftp://example.com"}, 21620),
        ({"ContentSid": "HX1"}, 21655),
        ({"ContentSid": "HX" + "0" * 32}, 21655),
        ({"ContentVariables": '{"1": "x"}'}, 21654),
        ({"ContentSid": "HX" + "0" * 32, "ContentVariables": "{"}, 21656),
        ({"StatusCallback": "https://my_host/"}, 21609),
        ({"ValidityPeriod": "0"}, 21624),
        ({"ValidityPeriod": "long"}, 21624),
        ({"MessagingServiceSid": "MG" + "0" * 32}, 21701),
        ({"FallbackFrom": FROM}, 21666),
        ({"ShortenUrls": "true"}, 20001),
        ({"ProvideFeedback": "perhaps"}, 20001),
        ({"Colour": "red"}, 20001),
    ],
)
def test_bad_input_gets_twilios_code(run: CallRunner, form: dict[str, str | None], code: int) -> None:
    whole = {"To": TO, "From": FROM, "Body": "Hi", **form}
    pairs = [(name, text) for name, text in whole.items() if text is not None]
    assert code_of(lambda: run.form(MESSAGES, pairs)) == code
    assert run.twilio.ledger.messages == 0


def test_too_many_media(run: CallRunner) -> None:
    form = [("To", TO), ("From", FROM), *[("MediaUrl", "https://example.com/a.png")] * 11]
    assert code_of(lambda: run.form(MESSAGES, form)) == 21623


def test_a_service_needs_a_sender_that_fits(run: CallRunner) -> None:
    sid = run(services.create("Empty")).sid
    assert code_of(lambda: send(run, messaging_service_sid=sid)) == 21703
    run(senders.create_channel_sender(sid, WHATSAPP_SENDER_SID))
    assert code_of(lambda: send(run, messaging_service_sid=sid)) == 21704
    assert code_of(lambda: send(run, messaging_service_sid=sid, from_=FROM)) == 21705
    assert code_of(lambda: send(run, messaging_service_sid=sid, fallback_from=FROM)) == 21667
    assert send(run, f"whatsapp:{TO}", messaging_service_sid=sid).status == "accepted"
    run(senders.create_short_code(sid, SHORT_CODE_SID))
    run(senders.create_channel_sender(sid, RCS_SENDER_SID))
    assert send(run, messaging_service_sid=sid, fallback_from=FROM).status == "accepted"
    assert send(run, from_=sid).messaging_service_sid == sid
