"""Interfaces between a bulk operator and the generation of the API that it sends through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_twilio_comms._core.planning.snapshot import Folder

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.campaigns.variants import Split
    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
    from airflow_provider_twilio_comms._core.recipients.reader import Reader
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._core.sending.send_once import PlannedSend
    from airflow_provider_twilio_comms._core.waiting.criteria import Criteria, OnUnknown
    from airflow_provider_twilio_comms.client.config import Config
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook


class BulkTask(Protocol):
    """The bulk operator as a generation sees it."""

    content: Any
    sender: Any
    twilio_chooses_sender: bool
    channel: str
    send_at: Any
    tags: Mapping[str, str] | None
    options: Mapping[str, Any] | None
    quiet_hours: Any
    spread_over: Any
    send_at_local: Any
    send_window: Any
    holidays: Any
    number_column: str | None
    default_region: str | None
    recipients_per_request: int
    requests_at_once: int | None
    messages_per_second: float | str | None
    pace_by: str
    on_unknown: OnUnknown
    unknown_after: float
    timeout: float
    criteria: Criteria
    twilio_conn_id: str

    @property
    def hook(self) -> TwilioHook: ...

    @property
    def log(self) -> Any: ...

    @property
    def split(self) -> Split | None: ...

    @property
    def contents(self) -> Mapping[str, Any]: ...

    def schedule(self, send_at: datetime | None) -> Schedule: ...

    def snapshot_folder(self, ledger: Ledger) -> Folder | None: ...

    def settings(self, context: Context, ledger: Ledger, plan: Plan) -> dict[str, Any]: ...

    def also(self, allows: Callable[[str], object]) -> Callable[[str], bool]: ...


class Generation(Protocol):
    """One of the two APIs."""

    ahead: timedelta  # how far ahead it can schedule at the earliest

    def request(self, config: Config) -> Any:
        """Make the message to everyone. Raises :class:`InvalidInput` for what this API does not have."""

    def reader(self, request: Any, config: Config) -> Reader:
        """Make what turns rows into recipients."""

    def part_size(self, ledger: Ledger) -> int:
        """Recipients in a part at most."""

    def parts_per_file(self, plan: Plan) -> int:
        """Parts in a file of a kept plan."""

    def check_last(self, last: datetime, now: float) -> None:
        """Refuse a last part that goes out later than Twilio schedules, or than can be waited for."""

    def per_second(self, context: Context) -> float | None:
        """The pace at which Twilio is told to send, in messages a second; None where it is not told."""

    def complete_report(self, report: dict[str, Any], request: Any, context: Context) -> None:
        """Add to the preflight's report what only this API has."""

    def sending(self, context: Context, plan: Plan, request: Any, ledger: Ledger) -> PlannedSend[Any]:
        """Make the send under way."""

    def run(self, sending: Any) -> list[str]:
        """Send; returns Twilio's ids of it, if this API has such."""
