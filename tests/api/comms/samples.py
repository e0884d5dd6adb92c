"""Samples of every call of the Communications API, with the request that each must become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_twilio_comms.api.comms import messages, operations, sender_pools, senders
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["SAMPLES", "Sample", "World"]


@dataclass(frozen=True)
class World:
    """The resources of an account. Those named ``spare`` are not in the pool."""

    operation: str = "comms_operation_01h9krwprkeee8fzqspvwy6nq8"
    pool_operation: str = "comms_operation_01h9krwprkeee8fzqspvwy6nq9"
    message: str = "comms_message_01h9krwprkeee8fzqspvwy6nq8"
    session: str = "comms_session_01h9krwprkeee8fzqspvwy6nq8"
    profile: str = "mem_profile_01h9krwprkeee8fzqspvwy6nq8"
    sid: str = "SM" + "1" * 32
    sender: str = "comms_sender_01h9krwprkeee8fzqspvwy6nq1"
    spare_sender: str = "comms_sender_01h9krwprkeee8fzqspvwy6nq4"
    pool: str = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"
    number: str = "+15005550006"
    to: str = "+14155552671"


@dataclass(frozen=True)
class Sample:
    """A call; in the request ``<name>`` stands for a field of the :class:`World`."""

    name: str
    call: Callable[[World], Call[Any]]
    wire: str
    json: Any = None
    effect: str = "reads"


NOON = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
LISBON = datetime(2026, 7, 1, 13, 0, 0, 999, tzinfo=timezone(timedelta(hours=1)))
DATES = "startDate=2026-07-01T12%3A00%3A00Z&endDate=2026-07-02T12%3A00%3A00Z"
SPAN: dict[str, Any] = {"start_date": NOON, "end_date": NOON + timedelta(days=1)}
TO = {"address": "<to>", "channel": "PHONE"}
HX = "HX" + "a" * 32


def to(world: World, **more: Any) -> list[dict[str, Any]]:
    return [{"address": world.to, "channel": "PHONE", **more}]


def send_sample(json: Any, call: Callable[[World], Call[Any]]) -> Sample:
    return Sample("messages.send", call, "POST /Messages", {"to": [TO], **json}, "sends")


MEDIA = "https://example.com/a.png"
MODULES = [{"sms": {"text": "Hi"}}, {"rcs": {"text": "Hi"}}]
PRIORITY = {"priority": [{"channel": "SMS", "priority": 1}]}

SAMPLES = [
    send_sample({"content": {"text": "Hi"}}, lambda w: messages.send(to(w), "Hi")),
    send_sample(
        {"content": {"text": "Hi {{ name }}"}, "from": {"address": "<number>", "channel": "SMS"}},
        lambda w: messages.send(to(w), {"text": "Hi {{ name }}"}, sender=w.number),
    ),
    send_sample(
        {"content": {"text": "Hi", "media": [{"url": MEDIA}]}},
        lambda w: messages.send(to(w), {"text": "Hi", "media": [MEDIA]}),
    ),
    send_sample({"content": {"media": [{"url": MEDIA}]}}, lambda w: messages.send(to(w), {"media": MEDIA})),
    send_sample(
        {"content": {"media": [{"url": MEDIA}]}},
        lambda w: messages.send(to(w), {"text": None, "media": [{"url": MEDIA}]}),
    ),
    send_sample({"content": {"contentId": HX}}, lambda w: messages.send(to(w), {"content_sid": HX})),
    send_sample({"content": {"modules": MODULES}}, lambda w: messages.send(to(w), {"modules": MODULES})),
    send_sample(
        {"content": {"text": "Hi"}, "from": {"address": "emulated_agent", "channel": "RCS"}},
        lambda w: messages.send(to(w), "Hi", sender="rcs:emulated_agent"),
    ),
    send_sample(
        {"content": {"text": "Hi"}, "from": {"address": "+14155238886", "channel": "WHATSAPP"}},
        lambda w: messages.send(to(w), "Hi", sender="+14155238886", sender_channel="WHATSAPP"),
    ),
    send_sample(
        {"content": {"text": "Hi"}, "from": {"address": "+14155238886", "channel": "WHATSAPP"}},
        lambda w: messages.send(to(w), "Hi", sender={"address": "+14155238886", "channel": "whatsapp"}),
    ),
    send_sample(
        {"content": {"text": "Hi"}, "from": {"senderId": "<sender>"}},
        lambda w: messages.send(to(w), "Hi", sender=w.sender),
    ),
    send_sample(
        {"content": {"text": "Hi"}, "from": {"senderPoolId": "<pool>", "channels": PRIORITY}},
        lambda w: messages.send(to(w), "Hi", sender={"sender_pool_id": w.pool, "channels": PRIORITY}),
    ),
    send_sample(
        {"content": {"text": "Hi"}, "schedule": {"sendAt": ["2026-07-01T12:00:00Z"]}, "tags": {"run": "a~1"}},
        lambda w: messages.send(to(w), "Hi", send_at=LISBON, tags={"run": "a~1"}),
    ),
    Sample("messages.list", lambda w: messages.list(), "GET /Messages"),
    Sample(
        "messages.list",
        lambda w: messages.list(
            operation_id=w.operation,
            status="FAILED",
            channel="SMS",
            tags={"a": "b", "c": "d"},
            page_size=1000,
        ),
        "GET /Messages?operationId=<operation>&channel=SMS&status=FAILED&tags=a%3Ab%3Bc%3Ad%3B&pageSize=1000",
    ),
    Sample(
        "messages.list",
        lambda w: messages.list(
            profile=w.profile, session_id="comms_session_01h9krwprkeee8fzqspvwy6nq8", **SPAN
        ),
        f"GET /Messages?sessionId=<session>&{DATES}&profile=<profile>",
    ),
    Sample("messages.fetch", lambda w: messages.fetch(w.message), "GET /Messages/<message>"),
    Sample("messages.seek", lambda w: messages.seek(w.sid), "GET /Messages/Seek/<sid>"),
    Sample(
        "operations.list",
        lambda w: operations.list(status="COMPLETED", page_size=1, **SPAN),
        f"GET /Messages/Operations?{DATES}&status=COMPLETED&pageSize=1",
    ),
    Sample(
        "operations.fetch", lambda w: operations.fetch(w.operation), "GET /Messages/Operations/<operation>"
    ),
    Sample(
        "senders.list",
        lambda w: senders.list(channel="SMS", status="ACTIVATED", page_size=5, **SPAN),
        f"GET /Senders?channel=SMS&status=ACTIVATED&{DATES}&pageSize=5",
    ),
    Sample("senders.fetch", lambda w: senders.fetch(w.sender), "GET /Senders/<sender>"),
    Sample(
        "senders.search",
        lambda w: senders.search(w.number, "SMS"),
        "POST /Senders/Search",
        {"address": "<number>", "channel": "SMS"},
    ),
    Sample(
        "senders.search",
        lambda w: senders.search(w.number, "SMS", status="ACTIVATED", page_size=5),
        "POST /Senders/Search",
        {"address": "<number>", "channel": "SMS", "status": "ACTIVATED", "pageSize": 5},
    ),
    Sample(
        "senders.resolve",
        lambda w: senders.resolve(to(w), sender_pool_id=w.pool, channels={"filterIn": ["SMS"]}),
        "POST /Senders/Resolve",
        {"recipientAddresses": [TO], "senderPoolId": "<pool>", "channels": {"filterIn": ["SMS"]}},
    ),
    Sample(
        "senders.resolve",
        lambda w: senders.resolve(to(w), sender={"address": w.number, "channel": "SMS"}),
        "POST /Senders/Resolve",
        {"recipientAddresses": [TO], "senderAddresses": {"address": "<number>", "channel": "SMS"}},
    ),
    Sample("sender_pools.list", lambda w: sender_pools.list(), "GET /SenderPools"),
    Sample(
        "sender_pools.list",
        lambda w: sender_pools.list(operation_id=w.pool_operation, page_size=3, **SPAN),
        f"GET /SenderPools?operationId=<pool_operation>&{DATES}&pageSize=3",
    ),
    Sample(
        "sender_pools.create",
        lambda w: sender_pools.create("North", sender_ids=[w.sender], tags={"team": "a"}),
        "POST /SenderPools",
        {"name": "North", "senders": [{"senderId": "<sender>"}], "tags": {"team": "a"}},
        "writes",
    ),
    Sample(
        "sender_pools.create",
        lambda w: sender_pools.create("South"),
        "POST /SenderPools",
        {"name": "South"},
        "writes",
    ),
    Sample("sender_pools.fetch", lambda w: sender_pools.fetch(w.pool), "GET /SenderPools/<pool>"),
    Sample(
        "sender_pools.update",
        lambda w: sender_pools.update(w.pool, name="West", tags={"team": "b"}),
        "PATCH /SenderPools/<pool>",
        {"name": "West", "tags": {"team": "b"}},
        "writes",
    ),
    Sample(
        "sender_pools.update",
        lambda w: sender_pools.update(w.pool, tags={}),
        "PATCH /SenderPools/<pool>",
        {"tags": {}},
        "writes",
    ),
    Sample(
        "sender_pools.list_senders",
        lambda w: sender_pools.list_senders(w.pool, channel="SMS", status="ACTIVATED", page_size=2, **SPAN),
        f"GET /SenderPools/<pool>/Senders?channel=SMS&status=ACTIVATED&{DATES}&pageSize=2",
    ),
    Sample(
        "sender_pools.add_senders",
        lambda w: sender_pools.add_senders(w.pool, [w.spare_sender]),
        "POST /SenderPools/<pool>/Senders",
        [{"senderId": "<spare_sender>"}],
        "writes",
    ),
    Sample(
        "sender_pools.list_operations",
        lambda w: sender_pools.list_operations(status="PROCESSING", page_size=9, **SPAN),
        f"GET /SenderPools/Operations?{DATES}&status=PROCESSING&pageSize=9",
    ),
    Sample(
        "sender_pools.fetch_operation",
        lambda w: sender_pools.fetch_operation(w.pool_operation),
        "GET /SenderPools/Operations/<pool_operation>",
    ),
    # these two last: in the contract test they take away what the others ask for
    Sample(
        "sender_pools.remove_sender",
        lambda w: sender_pools.remove_sender(w.pool, w.sender),
        "DELETE /SenderPools/<pool>/Senders/<sender>",
        effect="writes",
    ),
    Sample(
        "sender_pools.delete",
        lambda w: sender_pools.delete(w.pool),
        "DELETE /SenderPools/<pool>",
        effect="writes",
    ),
]
