"""Base of every Twilio operator and sensor: the connection, hidden arguments, errors that end a task."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from airflow.sdk import BaseOperator, XComArg, get_current_context
from airflow.sdk.definitions.context import render_template
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.missing_packages import explain_missing
from airflow_provider_twilio_comms._core.xcom_keys import MARK, OUTCOME
from airflow_provider_twilio_comms._tasks.arguments import one_of
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    AuthenticationFailed,
    DeliveryFailed,
    InvalidInput,
    Refused,
    SendUncertain,
    TemplateRejected,
    TwilioError,
    WaitTimedOut,
    scrub,
)
from airflow_provider_twilio_comms.links.console import TwilioConsoleLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_twilio_comms._core.privacy import Redact, Redaction
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook


class NumbersStayText:
    """Leaves phone numbers alone: to Python, so to a native template, +15005550006 is an integer."""

    def _render(self, template: Any, context: Any, dag: Any = None) -> Any:
        rendered = super()._render(template, context, dag)  # type: ignore[misc]
        if isinstance(rendered, int):
            text = str(render_template(template, context, native=False))
            return text if text.startswith("+") else rendered
        return rendered


log: logging.Logger = logging.getLogger(__name__)

T = TypeVar("T")

# With LocalExecutor, Airflow 3.3 can fail a task that resumes within seconds of its deferral.
INITIAL_DELAY = 10.0
LONGEST_ERROR = 1000  # characters of an error in XCom
PADDING = timedelta(minutes=10)  # Airflow's own time-out of a deferral is only the backstop


class TwilioTask(NumbersStayText):
    """The connection of an operator or sensor, and the link that it may leave."""

    twilio_conn_id: str
    messages_url: str = ""  # what TwilioConsoleLink shows, once there is something to see
    operator_extra_links: Collection[BaseOperatorLink]

    @cached_property
    def hook(self) -> TwilioHook:
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        return TwilioHook(self.twilio_conn_id)

    def leave_link(self, context: Context, sid: str | None) -> None:
        """Leave what ``TwilioConsoleLink`` shows, also in XCom: the page of an operation or message."""
        self.messages_url = self.hook.config.messages_page(sid) if sid else ""
        context["ti"].xcom_push(MARK, self.messages_url)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's way in after a deferral, at which it has stored our link: once is enough."""
        links = self.operator_extra_links
        self.operator_extra_links = [link for link in links if not isinstance(link, TwilioConsoleLink)]
        return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]


class TwilioOperator(TwilioTask, BaseOperator):
    """Base of the operators.

    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = ("twilio_conn_id",)
    ui_color = "#f9dcdc"

    def __init__(self, *, twilio_conn_id: str = "twilio_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.twilio_conn_id = twilio_conn_id

    def hide(self, value: T | XComArg, *, rendered: bool = True, text: bool = False) -> Hidden[T]:
        """Wrap an argument that Airflow may render, but not show.

        Without ``rendered`` only what other tasks give is filled in. A ``text`` stays one in a DAG that
        renders native objects: "12" is not a number.
        """
        XComArg.apply_upstream_relationship(self, value)
        return Hidden(
            cast("T", value), rendered=rendered, text=text
        )  # what another task gives is there by then

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        """Airflow's way in, for mapped tasks too: what is hidden is rendered, and stays hidden."""
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        for name, hidden in list(vars(self).items()) if parent is self else ():
            if not isinstance(hidden, Hidden):
                continue
            if hidden.rendered and hidden.text and isinstance(hidden.value, str):
                value = (
                    hidden.value if id(hidden.value) in seen_oids else _text(hidden.value, context, jinja_env)
                )
            elif hidden.rendered:
                value = self.render_template(hidden.value, context, jinja_env, seen_oids)
            elif any(True for _ in XComArg.iter_xcom_references(hidden.value)):
                value = _resolved(hidden.value, context)
            else:
                continue
            setattr(self, name, Hidden(value, rendered=hidden.rendered, text=hidden.text))


class Hidden(Generic[T]):
    """A value that Airflow may hold and pass on, but not show: neither in the UI nor in a serialized DAG."""

    def __init__(self, value: T, *, rendered: bool = True, text: bool = False) -> None:
        self.value = value
        self.rendered = rendered
        self.text = text

    def serialize(self) -> str | None:
        """The text that Airflow stores and shows in its place."""
        return None if self.value is None else "(hidden)"

    def __repr__(self) -> str:
        return "(hidden)"


def _text(template: str, context: Any, jinja_env: Any) -> Any:
    """Render a template to a text, also in an environment of native objects."""
    return render_template(jinja_env.overlay(finalize=str).from_string(template), context, native=False)


def _resolved(value: Any, context: Any) -> Any:
    """A value with what other tasks gave filled in, and its texts as they are."""
    if isinstance(value, XComArg):
        return value.resolve(context)
    if isinstance(value, Mapping):
        return {name: _resolved(each, context) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_resolved(each, context) for each in value]
    return value


def failing_fast() -> AbstractContextManager[None]:
    """Fail the task at once where no retry can help; leave the rest to the task's retries.

    An error says what happened and what to do, so the log shows it once, without the frames below the task
    and without the errors of HTTP libraries that it came from.
    """
    return _FailingFast()


class _FailingFast:
    """A class, since a generator would restore the frames."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, TwilioError):
            _leave(error)
            if _final(error):
                raise AirflowFailException(f"{type(error).__name__}: {error}{_connection(error)}") from None
            raise error.with_traceback(None) from None
        if missing := explain_missing(error):
            raise AirflowFailException(missing) from None


def _running() -> Any:
    """The running task instance; None where no task runs."""
    try:
        return get_current_context()["ti"]
    except RuntimeError:
        return None


def _connection(error: TwilioError) -> str:
    """Name the connection where Twilio does not accept it."""
    name = getattr(getattr(_running(), "task", None), "twilio_conn_id", None)
    return f". Check the connection {name!r}" if name and isinstance(error, AuthenticationFailed) else ""


def _leave(error: TwilioError) -> None:
    """Leave the error and its counts in XCom, for the delivery view and a DAG's alert.

    A task that fails has no result, and Airflow keeps no error. The XCom is deleted at the task's next try.
    """
    ti = _running()
    if ti is None:
        return
    outcome: dict[str, Any] = {"error": scrub(f"{type(error).__name__}: {error}")[:LONGEST_ERROR]}
    if isinstance(error, DeliveryFailed):
        outcome |= {"operation_ids": error.operation_ids, "stats": error.stats, "codes": error.codes}
    try:
        ti.xcom_push(OUTCOME, outcome)
    except Exception as problem:  # what failed is more important
        log.warning("The error could not be left in XCom: %s", type(problem).__name__)


def _final(error: TwilioError) -> bool:
    if isinstance(error, (SendUncertain, WaitTimedOut)):
        return False  # a later try may find what this one did not, and sends nothing again
    if isinstance(error, ApiError):
        return error.verdict in ("configuration", "recipient", "opt-out")
    return isinstance(error, (InvalidInput, Refused, DeliveryFailed, TemplateRejected))


class TwilioRedacted(TwilioOperator):
    """Base of the operators that write what is personal.

    :param redact: what of a person may be written: ``none`` (all of it), ``numbers`` (hashes in place of
        numbers), ``text`` (no texts) or ``all`` (neither numbers nor texts)
    :param hash_secret: keys the hashes, a template; the connection's ``hash_secret``, if left out, or else a
        key made of its credential. Never shown
    """

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "hash_secret")

    def __init__(self, *, redact: Redact = "all", hash_secret: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.redact: Redact = one_of("redact", redact, "none", "numbers", "text", "all")
        self.hash_secret: Hidden[str | None] = self.hide(hash_secret)

    @cached_property
    def redaction(self) -> Redaction:
        from airflow_provider_twilio_comms._core.privacy import Redaction, derived

        config = self.hook.config
        key = self.hash_secret.value or config.hash_secret
        if not key and self.redact in ("numbers", "all"):
            self.log.info(
                "Numbers are hashed with a key made of the connection's credential, and are other hashes "
                "after its rotation; hash_secret in the connection keeps them"
            )
        return Redaction(self.redact, key or derived(config.secret))
