"""Call any endpoint of the API, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.operator import Hidden, TwilioOperator, failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["MODULES", "TwilioApiRequestOperator", "named"]

_API = "airflow_provider_twilio_comms.api"
# Where calls are. Not oauth, whose answer is a secret.
MODULES = (
    "audiences.cohort_operations",
    "audiences.cohort_snapshots",
    "audiences.cohorts",
    "classic.accounts",
    "classic.available_numbers",
    "classic.feedback",
    "classic.incoming_numbers",
    "classic.media",
    "classic.messages",
    "classic.short_codes",
    "classic.usage",
    "comms.messages",
    "comms.operations",
    "comms.sender_pools",
    "comms.senders",
    "content",
    "events.sinks",
    "events.subscriptions",
    "events.types",
    "lookups",
    "memory.identifiers",
    "memory.identity_resolution",
    "memory.imports",
    "memory.operations",
    "memory.profiles",
    "memory.stores",
    "memory.trait_groups",
    "messaging.deactivations",
    "messaging.senders",
    "messaging.services",
    "pricing",
)
# Calls whose answer lets whoever reads it write or read without credentials.
_SECRET = ("memory.imports.create",)
_INSTEAD = "Use TwilioSendMessageOperator or TwilioBulkMessageOperator, which send once"


class TwilioApiRequestOperator(TwilioOperator):
    """Make any call of Twilio's API that this package knows, and return what it answers as JSON.

    Of a list, all pages are read, up to ``limit`` rows. Two kinds of calls are not made: those that send,
    since a retry would send twice, and those whose answer is a secret. A retry of the task makes the call
    again: for one that creates, prefer the operator of its own, or set ``retries=0``.

    **What the answer holds goes to XCom as it is**: messages with their texts, look-ups with their numbers.
    You decide whether it may. With ``fields`` only these columns are kept.

    .. code-block:: python

        TwilioApiRequestOperator(
            task_id="templates",
            call="content.list_with_approvals",
            arguments={"page_size": 100},
            fields=["sid", "friendly_name"],
        )

    https://www.twilio.com/docs/usage/api

    :param call: module and function below ``api``, such as ``classic.messages.fetch`` or ``lookups.fetch``
    :param arguments: the function's arguments by name; their rendered values are not shown (a template)
    :param fields: keep these fields of the answer, or of its rows
    :param limit: rows of a list at most
    :param output_path: where the file goes, for the calls whose answer is one: ``classic.media.download`` and
        ``messaging.deactivations.fetch`` (a template)
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "call", "arguments", "output_path")

    def __init__(
        self,
        *,
        call: str,
        arguments: Mapping[str, Any] | None = None,
        fields: Sequence[str] | None = None,
        limit: int = 100,
        output_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.call = call
        self.arguments: Hidden[Mapping[str, Any] | None] = self.hide(arguments)
        if fields is not None and not fields:
            raise InvalidInput.at("fields", "is empty", "Name some, or leave it out to keep all of them")
        self.fields = fields
        self.limit = limit
        self.output_path = output_path

    def execute(self, context: Context) -> Any:
        from airflow_provider_twilio_comms.api.flows import made
        from airflow_provider_twilio_comms.api.wire import Page

        with failing_fast():
            function = named(self.call)
            call = self._call(function)
            if _answers_file(function):
                return self._stored(call)
            answer = self.hook.run(made(call))
            if isinstance(answer, Page):
                return [self._narrowed(row) for row in self._rows(answer)]
            return self._narrowed(answer)

    def _call(self, function: Callable[..., Call[Any]]) -> Call[Any]:
        if self.call in _SECRET:
            raise InvalidInput.at("call", f"{self.call} answers with a secret", "Call it from a hook")
        try:
            call = function(**(self.arguments.value or {}))
        except TypeError as error:
            problem = str(error).replace("()", "")
            raise InvalidInput.at("arguments", f"do not fit: {problem}", "See the function's own") from None
        if call.does == "sends":
            raise InvalidInput.at("call", f"{self.call} sends messages", _INSTEAD)
        return call

    def _rows(self, page: Any) -> list[Any]:
        from airflow_provider_twilio_comms.api.flows import every_item

        rows = list(page.items[: self.limit])
        if page.next is not None and len(rows) < self.limit:
            rows += self.hook.run(every_item(page.next, self.limit - len(rows)))
        return rows

    def _narrowed(self, answer: Any) -> Any:
        import msgspec

        values = msgspec.to_builtins(answer, enc_hook=str)
        if not self.fields or not isinstance(values, dict):
            return values
        return {name: values.get(name) for name in self.fields}

    def _stored(self, call: Call[Any]) -> dict[str, Any]:
        from airflow.sdk import ObjectStoragePath

        from airflow_provider_twilio_comms._tasks.object_storage import stored

        if not self.output_path:
            raise InvalidInput.at("output_path", f"is missing, and {self.call} answers with a file", "Set it")
        size, _ = stored(self.hook, call, ObjectStoragePath(self.output_path.strip()))
        return {"bytes": size, "output_path": self.output_path}


def _answers_file(function: Callable[..., Call[Any]]) -> bool:
    """Tell whether a call answers with the address of a file; another's address may hold an id."""
    return str(function.__annotations__["return"]) == "Call[Elsewhere]"


def named(name: str) -> Callable[..., Call[Any]]:
    """The function of this name. Raises :class:`InvalidInput` where there is none that makes a call."""
    path, _, function_name = name.rpartition(".")
    if path not in MODULES:
        raise InvalidInput.at("call", f"there is no {path or name!r}", f"Modules are {', '.join(MODULES)}")
    module = import_module(f"{_API}.{path}")
    calls = {
        each: function
        for each in module.__all__
        if inspect.isfunction(function := getattr(module, each))
        and str(function.__annotations__.get("return", "")).startswith("Call[")
    }
    if function_name not in calls:
        raise InvalidInput.at("call", f"{path} has no {function_name!r}", f"It has {', '.join(calls)}")
    return calls[function_name]
