"""Event Streams: have Twilio tell Airflow's webhooks what becomes of messages.

https://www.twilio.com/docs/events/event-streams
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, failing_fast

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.resources.event_streams import Found

__all__ = ["TYPES", "TwilioEventStreamOperator"]

# What wakes the tasks that wait: https://www.twilio.com/docs/bulk-messaging
TYPES = (
    "com.twilio.comms-api.operation.completed",
    "com.twilio.comms-api.message.delivered",
    "com.twilio.comms-api.message.undelivered",
    "com.twilio.comms-api.message.failed",
)


class TwilioEventStreamOperator(TwilioOperator):
    """Declare a webhook sink of Event Streams and its subscriptions, and create what is missing.

    Running it twice creates nothing more, so retries are safe. A sink is this task's if it posts to
    ``address`` under ``description``; others are never changed. What a sink gets besides ``types`` stays.
    Returns ``{"sink_sid", "subscription_sid", "status", "created", "added", "present", "foreign"}``:
    ``status`` is ``CHANGED``, ``UNCHANGED``, or ``DRY_RUN`` with what would be created; ``foreign`` are the
    SIDs of other sinks.

    Fails, and creates nothing, where Twilio could not reach ``address``, does not know a type, or says that
    the sink has failed.

    .. code-block:: python

        TwilioEventStreamOperator(task_id="events", address="https://airflow.example.com/twilio/events")

    https://www.twilio.com/docs/events/event-streams/sink-resource

    :param address: what Twilio is to call: https, or the emulator's on this machine; ``[twilio]
        webhook_public_url`` with ``/events`` if left out (a template)
    :param types: types of events, or a mapping of them to the version of their schema (None: Twilio's
        default); if left out, those that wake tasks that wait (a template)
    :param description: the name of the sink and its subscription at Twilio (a template)
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "address", "types", "description")

    def __init__(
        self,
        *,
        address: str | None = None,
        types: Sequence[str] | Mapping[str, int | None] = TYPES,
        description: str = "Airflow",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.address = address
        self.types = types
        self.description = description

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.event_streams import Declared, applied

        types = self.types if isinstance(self.types, Mapping) else dict.fromkeys(self.types)
        with failing_fast():
            dry_run = self.hook.config.dry_run
            declared = Declared(self.address or _webhooks(), self.description, types)
            found = self.hook.run(applied(declared, dry_run=dry_run))
        self._tell(found, dry_run)
        changed = bool(found.created or found.added)
        return {
            "sink_sid": found.sink_sid,
            "subscription_sid": found.subscription_sid,
            "status": "DRY_RUN" if dry_run else "CHANGED" if changed else "UNCHANGED",
            "created": found.created,
            "added": found.added,
            "present": found.present,
            "foreign": found.foreign,
        }

    def _tell(self, found: Found, dry_run: bool) -> None:
        self.log.info(
            "%s: %s; types of events added: %s; there already: %s; %d sinks of others are left alone",
            "Would be created (dry run)" if dry_run else "Created",
            ", ".join(found.created) or "nothing",
            ", ".join(found.added) or "none",
            ", ".join(found.present) or "none",
            len(found.foreign),
        )


def _webhooks() -> str:
    """The address of the webhooks' own endpoint for events."""
    from airflow.sdk.configuration import conf

    from airflow_provider_twilio_comms.exceptions import InvalidInput

    url: str = conf.get("twilio", "webhook_public_url", fallback="") or ""
    if not url.strip():
        raise InvalidInput.at("address", "is missing", "Give it, or set [twilio] webhook_public_url")
    return f"{url.strip().rstrip('/')}/events"
