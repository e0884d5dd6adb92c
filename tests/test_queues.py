"""Inbound messages as a queue of ``common.messaging``."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.triggers.inbound import TwilioInboundMessageTrigger

pytest.importorskip("airflow.providers.common.messaging")

from airflow_provider_twilio_comms.queues import TwilioMessageQueueProvider


def serialized(**kwargs: Any) -> tuple[str, dict[str, Any]]:
    return TwilioInboundMessageTrigger(**kwargs).serialize()


def test_a_queue_by_its_scheme_is_the_inbound_trigger() -> None:
    from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger

    trigger = MessageQueueTrigger(scheme="twilio", receiver="+15005550006", poll_interval=5.0)
    assert trigger.serialize() == serialized(receiver="+15005550006", poll_interval=5.0)


@pytest.mark.filterwarnings("ignore:The `queue` parameter is deprecated")
def test_a_queue_by_its_address_is_the_inbound_trigger() -> None:
    from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger

    address = (
        "twilio://inbound?receiver=+15005550006&senders=%2B44*&senders=+1*&pattern=(?i)yes%20%26%20no"
        "&show=from&look_back=60&twilio_conn_id=other&poll_interval=5"
    )
    assert MessageQueueTrigger(queue=address).serialize() == serialized(
        receiver="+15005550006",
        senders=["+44*", "+1*"],
        pattern="(?i)yes & no",
        show=["from"],
        look_back=60.0,
        twilio_conn_id="other",
        poll_interval=5.0,
    )


@pytest.mark.parametrize(
    ("queue", "matches"),
    [
        ("twilio://inbound", True),
        ("twilio://inbound/?receiver=+1", True),
        ("twilio://outbound", False),
        ("twilio://inbound/more", False),
        ("https://inbound", False),
        ("kafka://twilio/inbound", False),
    ],
)
def test_only_the_queue_of_inbound_messages_is_ours(queue: str, matches: bool) -> None:
    assert TwilioMessageQueueProvider().queue_matches(queue) is matches


@pytest.mark.parametrize("query", ["reciever=+1", "poll_interval=often"])
def test_an_address_with_a_mistake_is_refused(query: str) -> None:
    with pytest.raises(InvalidInput, match="queue"):
        TwilioMessageQueueProvider().trigger_kwargs(f"twilio://inbound?{query}")


def test_without_common_messaging_airflow_passes_over_the_queue() -> None:
    """It says so at a level at which nobody is alarmed, and no other part needs that package."""
    program = (
        "import sys; sys.modules['airflow.providers.common.messaging.providers.base_provider'] = None\n"
        "from airflow.exceptions import AirflowOptionalProviderFeatureException as Passed\n"
        "try: import airflow_provider_twilio_comms.queues\n"
        "except Passed: print('passed over')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "passed over"


def test_airflow_lists_the_queue() -> None:
    from airflow.providers_manager import ProvidersManager

    path = f"{TwilioMessageQueueProvider.__module__}.{TwilioMessageQueueProvider.__qualname__}"
    assert path in ProvidersManager().queue_class_names
