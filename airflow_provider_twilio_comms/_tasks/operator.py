"""What every Twilio operator and sensor shares: the connection, and how errors end a task."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, XComArg, get_current_context
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.xcom_keys import OUTCOME
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    DeliveryFailed,
    InvalidInput,
    Refused,
    SendUncertain,
    TwilioError,
    WaitTimedOut,
)
from airflow_provider_twilio_comms.operators.native import NumbersStayText

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = [
    "FIRST_EVENT",
    "Hidden",
    "TwilioOperator",
    "TwilioTask",
    "count_of",
    "ending_plainly",
    "ids_of",
    "one_of",
    "or_default",
    "seconds",
]

log: logging.Logger = logging.getLogger(__name__)

# With LocalExecutor, Airflow 3.3 can fail a task that resumes within seconds of its deferral.
FIRST_EVENT = 10.0


def seconds(value: timedelta | float) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def one_of(name: str, value: Any, *allowed: str) -> Any:
    """A choice that can be checked when the DAG is parsed. Raises :class:`InvalidInput`."""
    if value not in allowed:
        raise InvalidInput.at(name, f"{value!r} is unknown", f"Use {', '.join(allowed)}")
    return value


def count_of(name: str, value: int, most: int) -> int:
    """A number from 1 that can be checked when the DAG is parsed. Raises :class:`InvalidInput`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput.at(name, f"{value!r} is not possible", f"Give a number from 1 to {most:,}")
    return value


class TwilioTask(NumbersStayText):
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
    # Those that are held as Hidden: rendered, but shown nowhere.
    hidden_fields: ClassVar[Sequence[str]] = ()
    ui_color = "#f9dcdc"

    def __init__(self, *, twilio_conn_id: str = "twilio_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.twilio_conn_id = twilio_conn_id

    def hide(self, **values: Any) -> None:
        """Keep arguments as attributes that Airflow does not show; None stays None."""
        for name, value in values.items():
            setattr(self, name, value if value is None else Hidden(value))
            XComArg.apply_upstream_relationship(self, value)

    def shown(self, name: str) -> Any:
        """The value of an argument that may be hidden."""
        value = getattr(self, name)
        return value.value if isinstance(value, Hidden) else value

    def rendered_fields(self) -> Sequence[str]:
        """Which of the hidden arguments are rendered."""
        return self.hidden_fields

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        """Airflow's way in, for mapped tasks too: what is hidden is rendered, and stays hidden."""
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        for name in self.rendered_fields() if parent is self else ():
            value = getattr(self, name)
            if isinstance(value, Hidden):
                rendered = self.render_template(value.value, context, jinja_env, seen_oids)
                setattr(self, name, Hidden(rendered))


class Hidden:
    """A value that Airflow may hold and pass on, but not show: neither in the UI nor in a serialized DAG."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> str:
        """What Airflow stores and shows in its place."""
        return "(hidden)"

    def __repr__(self) -> str:
        return "(hidden)"


def or_default(deferrable: bool | None) -> bool:
    """Whether to wait in the triggerer: as the author says, else as the configuration does."""
    if deferrable is not None:
        return deferrable
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def ids_of(field: str, given: Any, pattern: str, looks: str) -> list[str]:
    """Twilio's ids: one, several, or what a template makes of a list, which is its text.

    Raises :class:`InvalidInput` where there are none, or one that is not like ``looks``.
    """
    texts = (
        [part.strip("'\" ") for part in given.strip("[]() ").split(",")] if isinstance(given, str) else given
    )
    ids = [text for text in texts or () if text]
    if not ids:
        raise InvalidInput.at(field, "there are none", f"Give at least one: {looks}")
    for row, text in enumerate(ids, 1):
        if not isinstance(text, str) or not re.fullmatch(pattern, text):
            raise InvalidInput.at(field, "not a valid value", f"Expected {looks}", row)
    return list(dict.fromkeys(ids))


@contextmanager
def ending_plainly() -> Iterator[None]:
    """Fail the task at once where no retry can help; leave the rest to the task's retries."""
    try:
        yield
    except TwilioError as error:
        if isinstance(error, DeliveryFailed):
            _left(error)
        if _final(error):
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        raise


def _left(error: DeliveryFailed) -> None:
    """Leave the counts in XCom: a task that fails has no result."""
    try:
        ti: Any = get_current_context()["ti"]
    except RuntimeError:  # no task is running
        return
    counts = {"operation_ids": error.operation_ids, "stats": error.stats, "codes": error.codes}
    try:
        ti.xcom_push(OUTCOME, counts)
    except Exception as problem:  # what failed is more important
        log.warning("The counts could not be left in XCom: %s", type(problem).__name__)


def _final(error: TwilioError) -> bool:
    if isinstance(error, (SendUncertain, WaitTimedOut)):
        return False  # a later try may find what this one did not, and sends nothing again
    if isinstance(error, ApiError):
        return error.verdict in ("configuration", "recipient", "opt-out")
    return isinstance(error, (InvalidInput, Refused, DeliveryFailed))
