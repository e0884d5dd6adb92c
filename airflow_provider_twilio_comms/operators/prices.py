"""Prices of messages by country: https://www.twilio.com/docs/messaging/api/pricing"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.resource_operators import TwilioListOperator

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._tasks.table_files import Take
    from airflow_provider_twilio_comms.api.flows import Flow

__all__ = ["TwilioMessagingPricesOperator"]


class TwilioMessagingPricesOperator(TwilioListOperator):
    """Fetch the prices of messages, to and from each carrier of each country, one price a row.

    Columns: ``iso_country``, ``country``, ``direction``, ``carrier``, ``mcc``, ``mnc``, ``number_type``,
    ``base_price``, ``current_price`` (this account's), ``price_unit``. Returns ``{"count", "rows"}``, or with
    ``output_path`` ``{"count", "output_path"}``.

    https://www.twilio.com/docs/messaging/api/pricing

    :param countries: two-letter codes; all countries, at a request each, if left out (a template)
    :param limit: read so many rows at most
    :param fields: keep these columns only
    :param output_path: write the rows to this file: JSON lines (``.jsonl``) or Parquet (a template)
    :param max_rows: more rows than this do not go to XCom: the task fails and asks for ``output_path``
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*TwilioListOperator.template_fields, "countries")

    def __init__(self, *, countries: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.countries = countries

    def read(self, take: Take, limit: int | None) -> Flow[int]:
        from airflow_provider_twilio_comms._core.resources.prices import every_price

        return every_price(self.countries, take, limit)
