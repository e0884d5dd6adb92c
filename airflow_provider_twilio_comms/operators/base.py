"""What every Twilio operator and sensor shares: the connection, and how errors end a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    DeliveryFailed,
    InvalidInput,
    Refused,
    SendUncertain,
    TwilioError,
    WaitTimedOut,
)

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["Hidden", "TwilioOperator", "TwilioTask", "ending_plainly"]


class TwilioTask:
    """The connection of an operator or sensor."""

    twilio_conn_id: str

    @cached_property
    def hook(self) -> TwilioHook:
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        return TwilioHook(self.twilio_conn_id)


class TwilioOperator(TwilioTask, BaseOperator):
    """Base of the operators.

    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = ("twilio_conn_id",)
    ui_color = "#f9dcdc"

    def __init__(self, *, twilio_conn_id: str = "twilio_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.twilio_conn_id = twilio_conn_id


class Hidden:
    """A value that Airflow may hold and pass on, but not show: neither in the UI nor in a serialized DAG."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> str:
        """What Airflow stores and shows in its place."""
        return "(hidden)"

    def __repr__(self) -> str:
        return "(hidden)"


@contextmanager
def ending_plainly() -> Iterator[None]:
    """Fail the task at once where no retry can help; leave the rest to the task's retries."""
    try:
        yield
    except TwilioError as error:
        if _final(error):
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        raise


def _final(error: TwilioError) -> bool:
    if isinstance(error, (SendUncertain, WaitTimedOut)):
        return False  # a later try may find what this one did not, and sends nothing again
    if isinstance(error, ApiError):
        return error.verdict in ("configuration", "recipient", "opt-out")
    return isinstance(error, (InvalidInput, Refused, DeliveryFailed))
