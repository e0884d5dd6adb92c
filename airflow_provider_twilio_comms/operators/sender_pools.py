"""Sender pools: the senders that a bulk send chooses from.

https://www.twilio.com/docs/bulk-messaging/api/sender-pool-resource
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms._tasks.arguments import seconds
from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, failing_fast

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["TwilioSenderPoolOperator"]


class TwilioSenderPoolOperator(TwilioOperator):
    """Make a sender pool and its senders what is declared here, changing only what differs.

    The pool is found by its name, or created; senders that are missing are added, and the task waits until
    Twilio has carried that out. Running it twice changes nothing, so retries and backfills are safe. Returns
    ``{"sender_pool_id", "status", "created", "changed", "added", "removed", "others"}``, where ``status`` is
    ``CHANGED``, ``UNCHANGED``, or ``DRY_RUN`` with what would be changed, and ``others`` are senders of the
    pool that are not declared.

    .. code-block:: python

        TwilioSenderPoolOperator(
            task_id="pool",
            name="reminders",
            senders=["rcs:emulated_agent", "+15005550006"],
            tags={"team": "bookings"},
        )

    https://www.twilio.com/docs/bulk-messaging/api/sender-pool-resource

    :param name: the pool's name, by which it is found (a template)
    :param senders: sender ids, or numbers, ``rcs:<agent>`` and ``whatsapp:+...`` of the account's active
        senders, or a template or XComArg that gives them; left out, they stay as they are
    :param tags: the pool's tags (a template); left out, they stay as they are
    :param sender_pool_id: the pool, where the name is to be changed or several have it (a template)
    :param remove_others: take senders that are not declared out of the pool
    :param timeout: seconds, or a timedelta, that one change may take at Twilio
    :param poll_interval: seconds, or a timedelta, between two looks at a change
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "name",
        "senders",
        "tags",
        "sender_pool_id",
    )

    def __init__(
        self,
        *,
        name: str,
        senders: Sequence[str] | str | None = None,
        tags: Mapping[str, str] | None = None,
        sender_pool_id: str | None = None,
        remove_others: bool = False,
        timeout: timedelta | float = timedelta(minutes=5),
        poll_interval: timedelta | float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.senders = senders
        self.tags = tags
        self.sender_pool_id = sender_pool_id
        self.remove_others = remove_others
        self.timeout: float = seconds(timeout)
        self.poll_interval: float = seconds(poll_interval)

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.sender_pools import Declared, applied
        from airflow_provider_twilio_comms._core.sending.message import listed

        with failing_fast():
            dry_run = self.hook.config.dry_run
            declared = Declared(
                self.name,
                self.sender_pool_id or None,
                None if self.senders is None else list(listed(self.senders)),
                self.tags,
                self.remove_others,
                self.timeout,
                self.poll_interval,
            )
            changes = self.hook.run(applied(declared, dry_run=dry_run))
        others = f"; {pluralize(len(changes.others), 'sender')} not declared" if changes.others else ""
        found = f"{changes.sender_pool_id or 'no pool'}: {changes}{others}"
        self.log.info("%s%s", found, " (dry run)" if dry_run else "")
        return {
            "sender_pool_id": changes.sender_pool_id,
            "status": "DRY_RUN" if dry_run else "UNCHANGED" if changes.none else "CHANGED",
            "created": changes.created,
            "changed": changes.changed,
            "added": changes.added,
            "removed": changes.removed,
            "others": changes.others,
        }
