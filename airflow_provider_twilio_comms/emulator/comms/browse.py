"""Outbox page, its part for the Communications API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.emulator.comms.ids import message_id
from airflow_provider_twilio_comms.emulator.comms.messages import tags_of
from airflow_provider_twilio_comms.emulator.comms.operation import Operation
from airflow_provider_twilio_comms.emulator.comms.operations import view
from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["groups", "latest_operations"]


def latest_operations(twilio: State, count: int) -> list[dict[str, Any]]:
    newest = twilio.part(Outbox).newest_first()[:count]
    return [{**view(twilio, operation), "tags": operation.tags} for operation in newest]


def groups(
    twilio: State, words: str, status: str
) -> Iterator[tuple[float, int, Callable[[int], dict[str, Any]]]]:
    """Group the messages of each operation that match; see ``outbox.Group``."""
    now = twilio.clock.now()
    for operation in twilio.part(Outbox).newest_first():
        found = _found(operation, words, status, now)
        if found:
            yield operation.created, len(found), _rower(operation, found, now)


def _found(operation: Operation, words: str, status: str, now: float) -> Sequence[int]:
    recipients = operation.recipients
    found: Sequence[int] = range(len(recipients))
    about = (operation.id, operation.content.text, *operation.tags, *operation.tags.values())
    if words and not any(words in text for text in about):
        encoded = words.encode()
        found = [index for index in found if recipients.mentions(index, words, encoded)]
    if status:
        fronts = operation.timeline.fronts(now)
        found = [index for index in found if operation.message_status(index, now, fronts) == status]
    return found


def _rower(operation: Operation, found: Sequence[int], now: float) -> Callable[[int], dict[str, Any]]:
    """Make a function that builds rows, from an operation's last message to its first."""
    fronts = operation.timeline.fronts(now)

    def row(number: int) -> dict[str, Any]:
        index = found[len(found) - 1 - number]
        plan = operation.recipients.plan(index)
        last = plan.attempts[-1] if plan.attempts else None
        source = operation.sources[last.sender] if last else None
        party = operation.recipients.parties(index)[last.address if last else 0]
        status = operation.message_status(index, now, fronts)
        sent = operation.content.as_sent(
            source.channel if source else None, operation.recipients.variables(index)
        )
        return {
            "id": message_id(operation.key, index),
            "kind": "comms",
            "from": source.address if source else None,
            "to": party.address,
            "channel": source.channel if source else party.channel,
            "status": status,
            "code": last.code if last and status == last.status else None,
            "text": _said(sent),
            "cards": _cards(sent),
            "tags": tags_of(operation, index),
            "operation": operation.id,
            "created": operation.created,
        }

    return row


def _said(content: Any) -> str:
    """Collect the texts of a content, at any depth, and the addresses of its media."""
    if isinstance(content, dict):
        wanted = ("text", "title", "description", "url", "fileUrl", "contentId")
        own = [str(value) for key, value in content.items() if key in wanted and isinstance(value, str)]
        return " ".join(own + [said for value in content.values() if (said := _said(value))])
    if isinstance(content, list):
        return " ".join(filter(None, map(_said, content)))
    return ""


def _cards(content: Any) -> list[dict[str, Any]]:
    """List the cards of a rich content: ``{"title", "description", "media", "suggestions"}`` each.

    Suggestions beside them come last, as a card of their own.
    """
    shown: list[dict[str, Any]] = []
    for module in content.get("modules", ()):
        card = module.get("rcs", {}).get("richCard", {})
        alone = card.get("standaloneCard", {}).get("cardContent")
        for each in [alone] if alone else card.get("carouselCard", {}).get("cardContents", ()):
            media = each.get("media", {}).get("contentInfo", {}).get("fileUrl", "")
            shown.append(
                {
                    "title": each.get("title", ""),
                    "description": each.get("description", ""),
                    "media": media,
                    "suggestions": _buttons(each),
                }
            )
        if shown and "suggestions" in module.get("rcs", {}):  # they stand beside the cards
            shown.append(
                {"title": "", "description": "", "media": "", "suggestions": _buttons(module["rcs"])}
            )
    return shown


def _buttons(card: dict[str, Any]) -> list[str]:
    """List the texts of suggestions."""
    return [(each.get("reply") or each["action"])["text"] for each in card.get("suggestions", ())]
