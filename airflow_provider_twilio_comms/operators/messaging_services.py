"""Messaging services: senders, and how to send with them.

https://www.twilio.com/docs/messaging/api/service-resource
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, failing_fast
from airflow_provider_twilio_comms._tasks.resource_operators import TwilioListOperator, TwilioResourceOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.resources.messaging_services import Declared
    from airflow_provider_twilio_comms._tasks.table_files import Take
    from airflow_provider_twilio_comms.api.flows import Flow

__all__ = [
    "TwilioDeleteMessagingServiceOperator",
    "TwilioListMessagingServicesOperator",
    "TwilioMessagingServiceOperator",
]


class TwilioMessagingServiceOperator(TwilioOperator):
    """Make a messaging service and its lists of senders what is declared here, changing only what differs.

    Running it twice changes nothing, so retries and backfills are safe. A list that is left out stays as it
    is; an empty one is emptied. Returns ``{"sid", "status", "created", "changed", "added", "removed"}``,
    where ``status`` is ``CHANGED``, ``UNCHANGED``, or ``DRY_RUN`` with what would be changed.

    .. code-block:: python

        TwilioMessagingServiceOperator(
            task_id="service",
            friendly_name="orders",
            settings={"status_callback": "https://example.com/status", "smart_encoding": True},
            phone_numbers=["PN2a0747eba6abf96b7e3c3ff0b4530f6e"],
            alpha_senders=["Orders"],
        )

    https://www.twilio.com/docs/messaging/api/service-resource

    :param friendly_name: the service's name, by which it is found (a template)
    :param sid: the service, where the name is to be changed or several have it (a template)
    :param settings: ``inbound_request_url``, ``fallback_url``, ``status_callback``, ``sticky_sender``,
        ``smart_encoding``, ``mms_converter``, ``area_code_geomatch``, ``validity_period`` (seconds),
        ``usecase``, ``use_inbound_webhook_on_number`` ... A setting that is left out stays as it is
    :param phone_numbers: SIDs (``PN...``), or numbers of the account
    :param short_codes: SIDs (``SC...``), or short codes of the account
    :param alpha_senders: names of up to 11 letters and digits; a service takes one
    :param destination_alpha_senders: names by country, such as ``{"GB": "Orders"}``; ``""`` is any country
    :param channel_senders: SIDs (``XE...``) of WhatsApp, Messenger and RCS senders
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "friendly_name",
        "sid",
        "settings",
        "phone_numbers",
        "short_codes",
        "alpha_senders",
        "destination_alpha_senders",
        "channel_senders",
    )

    def __init__(
        self,
        *,
        friendly_name: str,
        sid: str | None = None,
        settings: Mapping[str, Any] | None = None,
        phone_numbers: Sequence[str] | None = None,
        short_codes: Sequence[str] | None = None,
        alpha_senders: Sequence[str] | None = None,
        destination_alpha_senders: Mapping[str, str] | None = None,
        channel_senders: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.friendly_name = friendly_name
        self.sid = sid
        self.settings = settings
        self.phone_numbers = phone_numbers
        self.short_codes = short_codes
        self.alpha_senders = alpha_senders
        self.destination_alpha_senders = destination_alpha_senders
        self.channel_senders = channel_senders

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.messaging_services import applied

        with failing_fast():
            dry_run = self.hook.config.dry_run
            changes = self.hook.run(applied(self._declared(), dry_run=dry_run))
        self.log.info("%s: %s%s", changes.sid or "no service", changes, " (dry run)" if dry_run else "")
        return {
            "sid": changes.sid,
            "status": "DRY_RUN" if dry_run else "UNCHANGED" if changes.none else "CHANGED",
            "created": changes.created,
            "changed": changes.changed,
            "added": changes.added,
            "removed": changes.removed,
        }

    def _declared(self) -> Declared:
        from airflow_provider_twilio_comms._core.resources.messaging_services import Declared

        destinations = self.destination_alpha_senders
        pools = {
            "phone_numbers": self.phone_numbers,
            "short_codes": self.short_codes,
            "alpha_senders": self.alpha_senders,
            "destination_alpha_senders": destinations
            and [f"{country}:{name}" for country, name in destinations.items()],
            "channel_senders": self.channel_senders,
        }
        return Declared(
            self.friendly_name,
            self.sid or None,
            self.settings or {},
            {name: list(given) for name, given in pools.items() if given is not None},
        )


class TwilioDeleteMessagingServiceOperator(TwilioResourceOperator):
    """Delete a messaging service; its numbers stay the account's. One that is gone is done.

    Returns ``{"sid", "deleted"}``, where ``deleted`` tells whether it was still there.

    https://www.twilio.com/docs/messaging/api/service-resource#delete-a-service-resource

    :param sid: the service (a template)
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.messaging_services import deleted

        with failing_fast():
            return {"sid": self.sid, "deleted": self.hook.run(deleted(self.sid))}


class TwilioListMessagingServicesOperator(TwilioListOperator):
    """List messaging services.

    Returns ``{"count", "rows"}``, or with ``output_path`` ``{"count", "output_path"}``.

    https://www.twilio.com/docs/messaging/api/service-resource#read-multiple-service-resources

    :param limit: read so many rows at most
    :param fields: keep these columns only
    :param output_path: write the rows to this file: JSON lines (``.jsonl``) or Parquet (a template)
    :param max_rows: more rows than this do not go to XCom: the task fails and asks for ``output_path``
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def read(self, take: Take, limit: int | None) -> Flow[int]:
        from airflow_provider_twilio_comms.api.flows import every_page
        from airflow_provider_twilio_comms.api.messaging import services

        return every_page(services.list(page_size=min(limit or 1000, 1000)), take, limit)
