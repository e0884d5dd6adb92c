"""``@task.twilio_message``: send a message to the recipients that a function returns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.bases.decorator import DecoratedOperator, determine_kwargs, task_decorator_factory
from airflow.sdk.definitions._internal.types import SET_DURING_EXECUTION
from airflow.sdk.definitions.context import context_merge

from airflow_provider_twilio_comms._tasks.operator import Hidden
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator

__all__ = ["twilio_message_task"]


class _TwilioMessageDecoratedOperator(DecoratedOperator, TwilioBulkMessageOperator):
    """Send to the recipients that a function returns, as recipients or ``(content, recipients)``.

    The function may be a generator: then its recipients are never all in memory. Its arguments are not shown,
    since they may name people.
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *TwilioBulkMessageOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {**DecoratedOperator.template_fields_renderers}
    custom_operator_name = "@task.twilio_message"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        content: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            recipients=SET_DURING_EXECUTION,
            content=SET_DURING_EXECUTION if content is None else content,
            **kwargs,
        )
        self._has_content = content is not None
        self.op_args: Any = self.hide(self.op_args)
        self.op_kwargs: Any = self.hide(self.op_kwargs)

    def execute(self, context: Context) -> Any:
        """Send. If nothing may be sent, the function is not called either."""
        self._asked = context
        return TwilioBulkMessageOperator.execute(self, context)  # not the one that returns what was returned

    def request(self, config: Any) -> Any:
        self._ask(self._asked)
        return super().request(config)

    def _ask(self, context: Context) -> None:
        args, given = self.op_args.value, dict(self.op_kwargs.value)
        context_merge(context, given)
        kwargs = determine_kwargs(self.python_callable, args, context)
        found = self.python_callable(*args, **kwargs)
        if isinstance(found, tuple) and len(found) == 2:
            content, found = found
            if self._has_content:
                raise InvalidInput.at(
                    "content", "is given twice", "Leave it to the decorator or to the function"
                )
            self.content = Hidden(content)
        elif not self._has_content:
            raise InvalidInput.at(
                "content", "is missing", "Give it to the decorator, or return (content, recipients)"
            )
        if found is None:
            found = ()
        self.recipients = Hidden(found)


def twilio_message_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Turn a function into a task that sends a message to the recipients that it returns.

    .. code-block:: python

        @task.twilio_message(content="Hi {{ name }}, see you tonight.", wait_for="delivered")
        def remind(bookings):
            for booking in bookings:
                yield {"phone": booking["phone"], "name": booking["guest"]}

    It takes every argument but ``recipients`` of
    :class:`~airflow_provider_twilio_comms.operators.bulk_messages.TwilioBulkMessageOperator`.
    A function that returns a tuple of two returns ``(content, recipients)``; return recipients as a list.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        decorated_operator_class=_TwilioMessageDecoratedOperator,
        **{"multiple_outputs": False, **kwargs},
    )
