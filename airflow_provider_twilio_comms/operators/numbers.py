"""The account's own numbers and short codes: search, buy, change, list, release.

They are senders and nobody's private numbers, so results show them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, failing_fast
from airflow_provider_twilio_comms._tasks.resource_operators import (
    TwilioListOperator,
    TwilioResourceOperator,
    TwilioSettingsOperator,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._tasks.table_files import Take
    from airflow_provider_twilio_comms.api.classic.available_numbers import Kind
    from airflow_provider_twilio_comms.api.flows import Flow
    from airflow_provider_twilio_comms.api.wire import Call

__all__ = [
    "TwilioBuyNumberOperator",
    "TwilioListNumbersOperator",
    "TwilioReleaseNumberOperator",
    "TwilioSearchNumbersOperator",
    "TwilioUpdateNumberOperator",
    "TwilioUpdateShortCodeOperator",
]


class TwilioBuyNumberOperator(TwilioOperator):
    """Buy one number: this one, or the first that a search finds. **It costs money every month.**

    However often the task is tried or cleared, it buys one: the number is labelled, and looked for by its
    label first. Returns ``{"sid", "phone_number", "friendly_name", "bought"}``, where ``bought`` tells
    whether this try bought it, or found it; with a dry run, ``sid`` is None.

    .. code-block:: python

        TwilioBuyNumberOperator(
            task_id="number",
            country_code="US",
            criteria={"area_code": 415, "sms_enabled": True},
            settings={"sms_url": "https://example.com/inbound"},
        )

    https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource#provision-a-phone-number

    :param phone_number: the number to buy; else the first that the search finds (a template)
    :param country_code: where to search: ``US``
    :param kind: ``local``, ``mobile``, ``toll_free``, ``national`` ...
    :param criteria: what to search for: ``area_code``, ``contains``, ``sms_enabled``, ``near_number`` ...
    :param settings: how the number is to behave: ``sms_url``, ``status_callback``, ``address_sid``,
        ``bundle_sid`` ...
    :param name: what the number is called; a label that is this purchase's own is put behind it
    :param send_key: what makes this purchase this purchase (a template); DAG, run, task and map index, if
        left out. ``"{{ dag.dag_id }}"`` buys one number for all runs
    :param unknown_after: seconds for which a number is looked for that may have been bought
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "phone_number",
        "country_code",
        "criteria",
        "settings",
        "name",
        "send_key",
    )

    def __init__(
        self,
        *,
        phone_number: str | None = None,
        country_code: str = "US",
        kind: Kind = "local",
        criteria: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        name: str = "",
        send_key: str | None = None,
        unknown_after: float = 90.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phone_number = phone_number
        self.country_code = country_code
        self.kind = kind
        self.criteria = criteria
        self.settings = settings
        self.name = name
        self.send_key = send_key
        self.unknown_after = unknown_after

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.numbers import Purchase, bought
        from airflow_provider_twilio_comms._tasks.task_state import ledger_of

        with failing_fast():
            purchase = Purchase(
                ledger_of(context, self.send_key, anew=False, noun="number"),
                self.name,
                self.phone_number or None,
                self.country_code,
                self.kind,
                self.criteria or {},
                self.settings or {},
                self.unknown_after,
            )
            if self.hook.config.dry_run:
                return {"sid": None, "phone_number": None, "friendly_name": purchase.label, "bought": False}
            number, new = self.hook.run(bought(purchase))
        self.log.info("%s %s", "Bought" if new else "Found, and bought before:", number.sid)
        return {
            "sid": number.sid,
            "phone_number": number.phone_number,
            "friendly_name": number.friendly_name,
            "bought": new,
        }


class TwilioUpdateNumberOperator(TwilioSettingsOperator):
    """Change how a number of the account behaves. Returns ``{"sid", "changed"}``; nothing is changed twice.

    https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource#update-an-incomingphonenumber-resource

    :param sid: the number's SID, ``PN...`` (a template)
    :param settings: ``sms_url``, ``friendly_name``, ``status_callback``, ``voice_url`` ... ``""`` clears one;
        ``account_sid`` hands the number to a subaccount (a template)
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def calls(self) -> tuple[Callable[[str], Call[Any]], Callable[..., Call[Any]]]:
        from airflow_provider_twilio_comms.api.classic import incoming_numbers

        return incoming_numbers.fetch, incoming_numbers.update


class TwilioReleaseNumberOperator(TwilioResourceOperator):
    """Give a number back. One that is gone is done. Returns ``{"sid", "released"}``.

    https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource#delete-an-incomingphonenumber-resource

    :param sid: the number's SID, ``PN...`` (a template)
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.numbers import released

        with failing_fast():
            return {"sid": self.sid, "released": self.hook.run(released(self.sid))}


class TwilioSearchNumbersOperator(TwilioListOperator):
    """Search numbers that can be bought, as many as Twilio shows at once (30 or so).

    Returns ``{"count", "rows"}``, or with ``output_path`` ``{"count", "output_path"}``.

    https://www.twilio.com/docs/phone-numbers/api/availablephonenumber-resource

    :param country_code: where to search: ``US`` (a template)
    :param kind: ``local``, ``mobile``, ``toll_free``, ``national`` ...
    :param criteria: ``area_code``, ``contains``, ``sms_enabled``, ``in_region`` ... (a template)
    :param limit: read so many rows at most
    :param fields: keep these columns only
    :param output_path: write the rows to this file: JSON lines (``.jsonl``) or Parquet (a template)
    :param max_rows: more rows than this do not go to XCom: the task fails and asks for ``output_path``
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*TwilioListOperator.template_fields, "country_code", "criteria")

    def __init__(
        self,
        *,
        country_code: str = "US",
        kind: Kind = "local",
        criteria: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.country_code = country_code
        self.kind = kind
        self.criteria = criteria

    def read(self, take: Take, limit: int | None) -> Flow[int]:
        from airflow_provider_twilio_comms.api.classic import available_numbers
        from airflow_provider_twilio_comms.api.flows import every_page

        call = available_numbers.search(self.country_code, self.kind, **(self.criteria or {}))
        return every_page(call, take, limit)


class TwilioListNumbersOperator(TwilioListOperator):
    """List the account's numbers.

    Returns ``{"count", "rows"}``, or with ``output_path`` ``{"count", "output_path"}``.

    https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource#read-multiple-incomingphonenumber-resources

    :param phone_number: only those that contain these digits, with ``*`` for any digit (a template)
    :param friendly_name: only those of this name (a template)
    :param kind: only ``local``, ``mobile`` or ``toll_free`` ones
    :param limit: read so many rows at most
    :param fields: keep these columns only
    :param output_path: write the rows to this file: JSON lines (``.jsonl``) or Parquet (a template)
    :param max_rows: more rows than this do not go to XCom: the task fails and asks for ``output_path``
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*TwilioListOperator.template_fields, "phone_number", "friendly_name")

    def __init__(
        self,
        *,
        phone_number: str | None = None,
        friendly_name: str | None = None,
        kind: Literal["local", "mobile", "toll_free"] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phone_number = phone_number
        self.friendly_name = friendly_name
        self.kind = kind

    def read(self, take: Take, limit: int | None) -> Flow[int]:
        from airflow_provider_twilio_comms.api.classic import incoming_numbers
        from airflow_provider_twilio_comms.api.flows import every_page

        only: Any = {
            "phone_number": self.phone_number,
            "friendly_name": self.friendly_name,
            "page_size": min(limit or 1000, 1000),
        }
        return every_page(incoming_numbers.list(self.kind, **only), take, limit)


class TwilioUpdateShortCodeOperator(TwilioSettingsOperator):
    """Change what happens to messages that come in on a short code. Returns ``{"sid", "changed"}``.

    https://www.twilio.com/docs/messaging/api/short-code-resource#update-a-shortcode-resource

    :param sid: the short code's SID, ``SC...`` (a template)
    :param settings: ``sms_url``, ``sms_method``, ``sms_fallback_url``, ``friendly_name`` ... (a template)
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def calls(self) -> tuple[Callable[[str], Call[Any]], Callable[..., Call[Any]]]:
        from airflow_provider_twilio_comms.api.classic import short_codes

        return short_codes.fetch, short_codes.update
