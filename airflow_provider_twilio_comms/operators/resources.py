"""What tasks about one resource of the account share: which one, and settings changed where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, ending_plainly

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["TwilioResourceOperator", "TwilioSettingsOperator"]


class TwilioResourceOperator(TwilioOperator):
    """Base of the operators on one resource.

    :param sid: its SID (a template)
    """

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "sid")

    def __init__(self, *, sid: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sid = sid


class TwilioSettingsOperator(TwilioResourceOperator):
    """Base of the operators that change a resource; nothing is changed twice.

    :param settings: what it is to be (a template)
    """

    template_fields: Sequence[str] = (*TwilioResourceOperator.template_fields, "settings")

    def __init__(self, *, sid: str, settings: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(sid=sid, **kwargs)
        self.settings = settings

    def calls(self) -> tuple[Callable[[str], Call[Any]], Callable[..., Call[Any]]]:
        """What reads the resource, and what changes it."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.settings import updated

        with ending_plainly():
            return {
                "sid": self.sid,
                "changed": self.hook.run(updated(*self.calls(), self.sid, self.settings)),
            }
