"""Queue provider for ``common.messaging``: inbound messages as a queue, ``twilio://inbound?receiver=...``.

Airflow imports this where somebody uses queues. It takes the package
``apache-airflow-providers-common-messaging``, which is the extra ``messaging`` of this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow.exceptions import AirflowOptionalProviderFeatureException

from airflow_provider_twilio_comms.exceptions import InvalidInput

try:
    from airflow.providers.common.messaging.providers.base_provider import BaseMessageQueueProvider
except ImportError:
    raise AirflowOptionalProviderFeatureException(
        "Twilio's queue takes the package apache-airflow-providers-common-messaging"
    ) from None

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

__all__ = ["TwilioMessageQueueProvider"]

# The trigger's arguments, and how each is read from the address.
_READERS: dict[str, type[Any]] = {
    "receiver": str,
    "senders": list,
    "pattern": str,
    "show": list,
    "look_back": float,
    "twilio_conn_id": str,
    "poll_interval": float,
}


class TwilioMessageQueueProvider(BaseMessageQueueProvider):
    """Have ``MessageQueueTrigger`` watch the messages that people write.

    .. code-block:: python

        Asset(
            "answers",
            watchers=[
                AssetWatcher(
                    name="answers", trigger=MessageQueueTrigger(scheme="twilio", receiver="+15005550006")
                )
            ],
        )

    Its arguments are those of
    :class:`~airflow_provider_twilio_comms.triggers.inbound.TwilioInboundMessageTrigger`. They can stand in an
    address as well, ``twilio://inbound?receiver=+15005550006&show=from``; ``senders`` and ``show`` repeat.
    """

    scheme: str | None = "twilio"

    def queue_matches(self, queue: str) -> bool:
        parts = urlsplit(queue)
        return (parts.scheme, parts.netloc, parts.path.strip("/")) == ("twilio", "inbound", "")

    def trigger_class(self) -> type[BaseEventTrigger]:
        from airflow_provider_twilio_comms.triggers.inbound import TwilioInboundMessageTrigger

        return TwilioInboundMessageTrigger

    def trigger_kwargs(self, queue: str, **kwargs: Any) -> dict[str, Any]:
        """Read the trigger's arguments from an address. Raises :class:`InvalidInput`.

        A ``+`` is itself, as in a number, and no space.
        """
        read: dict[str, Any] = {}
        for pair in filter(None, urlsplit(queue).query.split("&")):
            name, _, text = pair.partition("=")
            value, reader = unquote(text), _READERS.get(name)
            if reader is None:
                raise InvalidInput.at("queue", f"does not know {name!r}", f"Use {', '.join(_READERS)}")
            if reader is list:
                read.setdefault(name, []).append(value)
                continue
            try:
                read[name] = reader(value)
            except ValueError:
                raise InvalidInput.at("queue", f"{name} is not a number", "Give seconds") from None
        return read
