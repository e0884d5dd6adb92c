"""Deviations of the emulator from Twilio: stricter, looser, or otherwise different, each with its reason.

The page of the documentation is made from this list (``docs/hooks/deviations.py``), and its cases are tested.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

__all__ = ["DEVIATIONS", "Deviation"]


class Deviation(NamedTuple):
    """One point, with the reason. ``mode`` means that the mode ``like-twilio`` does there as Twilio does.

    ``request`` is a case: method, path below the product, and JSON or form. Twilio's document allows it if
    the emulator is stricter, and not if it is looser.
    """

    kind: Literal["stricter", "looser", "different"]
    product: str
    emulator: str
    twilio: str
    reason: str
    mode: bool = False
    request: tuple[str, str, Any] | None = None


_TO = [{"address": "+12025550100", "channel": "PHONE"}]
_POOL = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"  # one that the emulator has from the start
_URL = {"url": "https://example.com/a.png"}
_CARD = {"text": "Hi", "postbackData": "hi"}
_BOTH = {"latLong": {"latitude": 1, "longitude": 2}, "query": "Lisbon"}
_PLACE = {"text": "Hi", "suggestions": [{"action": {**_CARD, "viewLocationAction": _BOTH}}]}
_FORM = {"To": "+12025550100", "From": "+15005550006", "Body": "Hi"}
_NUMBERS = {"senderAddresses": {"address": "+15005550006", "channel": "SMS"}}
_OPEN = "a misspelt name would be lost without a word"


def _send(**body: Any) -> tuple[str, str, Any]:
    return "POST", "/v1/Messages", {"to": _TO, "content": {"text": "Hi"}, **body}


DEVIATIONS = [
    Deviation(
        "stricter",
        "comms",
        "refuses unknown keys at every depth",
        "its schemas are open but for some: an unknown key passes",
        _OPEN,
        True,
        _send(statusCallback="https://example.com"),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses `channels` or another key beside a `senderId` or an address in `from`",
        "the forms of `from` are open",
        _OPEN,
        True,
        _send(**{"from": {"address": "+15005550006", "channel": "SMS", "channels": {}}}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a text or media beside a `contentId` or `modules`",
        "the schema of a template is open, and would leave the text out",
        "which of the two is sent is not said",
        True,
        _send(content={"text": "Hi", "contentId": "HX" + "0" * 32}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses more than ten media, and an empty list of media",
        "its schema has no bound",
        "ten is the limit of MMS, through which they go",
        True,
        _send(content={"text": "Hi", "media": [_URL] * 11}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses an empty `sendAt`",
        "its schema allows it",
        "a schedule without a time is a mistake",
        True,
        _send(schedule={"sendAt": []}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a negative priority of a channel",
        "any whole number",
        "priorities begin with 0 in every example",
        True,
        _send(
            **{
                "from": {
                    "senderPoolId": _POOL,
                    "channels": {"priority": [{"channel": "SMS", "priority": -1}]},
                }
            }
        ),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses two modules of one channel",
        "its schema allows it",
        "which of them would be sent is not said",
        True,
        _send(content={"modules": [{"sms": {"text": "Hi"}}] * 2}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a location by coordinates and by query at once",
        "its schema allows it, its text says either",
        "the text is the advice of who wrote it",
        True,
        _send(content={"modules": [{"rcs": _PLACE}]}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a change of a sender pool that changes nothing",
        "its schema allows it",
        "a change without content is a mistake",
        True,
        ("PATCH", f"/v1/SenderPools/{_POOL}", {}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a sender pool with an empty name",
        "its schema allows it",
        "nobody finds such a pool again",
        True,
        ("POST", "/v1/SenderPools", {"name": ""}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a sender without `senderId` in a sender pool",
        "its schema allows it",
        "a misspelt name would be lost without a word",
        True,
        ("POST", "/v1/SenderPools", {"name": "Mine", "senders": [{}]}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a pool and a sender in one request to Resolve",
        "the forms of Resolve are open",
        "which of the two counts is not said",
        True,
        ("POST", "/v1/Senders/Resolve", {"recipientAddresses": _TO, "senderPoolId": _POOL, **_NUMBERS}),
    ),
    Deviation(
        "stricter",
        "api",
        "refuses unknown form fields, and unknown fields of a query",
        "ignores them",
        _OPEN,
        True,
        ("POST", "/2010-04-01/Accounts/{AccountSid}/Messages.json", {**_FORM, "Boddy": "Hi"}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses an address that is no number in E.164",
        "its schema takes any text",
        "the text of the same schema asks for E.164",
        False,
        _send(to=[{"address": "12025550100", "channel": "PHONE"}]),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a text that is not Liquid, or has an unknown filter, and media that are no http address",
        "its schema takes any text",
        "Twilio's templates have these filters, and it has to fetch the media",
        False,
        _send(content={"text": "Hi {{ name | shout }}"}),
    ),
    Deviation(
        "stricter",
        "comms",
        "refuses a time to send that is more than 30 days ahead or no RFC 3339 time",
        "its schema takes any text",
        "the text of the same schema says both",
        False,
        _send(schedule={"sendAt": ["tomorrow"]}),
    ),
    Deviation(
        "stricter",
        "comms",
        "resolves messaging alone: no sender of e-mail or of push notifications",
        "resolves these too",
        "they are other products",
    ),
    Deviation(
        "stricter",
        "api",
        "answers JSON alone: a path without `.json` is a 404",
        "answers XML there",
        "no client of today asks for XML",
    ),
    Deviation(
        "looser",
        "comms",
        "takes Liquid in the value of a tag",
        "its pattern forbids it, its text allows it",
        "the text says so with an example",
        False,
        _send(tags={"campaign": "{{ campaign }}"}),
    ),
    Deviation(
        "looser",
        "comms",
        "takes any `contentId` and any profile; a profile is reached by nobody",
        "knows its own alone",
        "templates, and profiles of the Memory API, are kept elsewhere",
    ),
    Deviation(
        "looser",
        "api",
        "lets subaccounts share numbers, services and templates with their parent",
        "keeps them apart",
        "they are there to try credentials and messages",
    ),
    Deviation(
        "looser",
        "api",
        "limits neither requests in flight nor messages a second",
        "answers 429, queues, and refuses at 30001 or 21611",
        "a fault (`rate_limited`) or a magic number does so when it is wanted",
    ),
    Deviation(
        "looser",
        "api",
        "filters, blocks and prices nothing by its content: outcomes are told by the number alone",
        "carriers and Twilio filter, WhatsApp has its 24 hours",
        "the same test has the same outcome",
    ),
    Deviation(
        "different",
        "comms",
        "names the operation in a bare header in `preview`; the option `accepted` changes it",
        "body and `Location` by its document, the header by older pages",
        "which of the two is live is not known",
    ),
    Deviation(
        "different",
        "comms",
        "answers 409 for a sender pool whose name exists",
        "a page says so, its document does not",
        "the page is about this case",
    ),
    Deviation(
        "different",
        "comms",
        "takes a time to send without an offset for UTC",
        "takes it for each recipient's own time",
        "it knows nobody's time zone",
    ),
    Deviation(
        "different",
        "comms",
        "replaces all tags of a pool by those of a change",
        "not documented",
        "the simplest reading",
    ),
    Deviation(
        "different",
        "comms",
        "writes a `from` that names the pool alone for a message that no sender of a pool could reach",
        "its document has no form for this",
        "any sender named there would be a guess",
    ),
    Deviation(
        "different",
        "api",
        "creates and lists subaccounts, and neither changes nor closes them",
        "does all of it",
        "a task only has to find them and act for them",
    ),
    Deviation(
        "different",
        "comms",
        "does not list its attempts in the classic API",
        "each attempt is a classic message too",
        "the two generations are tried one at a time",
    ),
    Deviation(
        "different",
        "api",
        "writes addresses of pages that lead nowhere (`.invalid`)",
        "writes its own host",
        "credentials must not follow them to Twilio",
    ),
    Deviation(
        "different",
        "api",
        "calls a `StatusCallback` on this machine alone; the option `status_callbacks` changes it",
        "calls any public address",
        "a test must not write to strangers",
    ),
]
