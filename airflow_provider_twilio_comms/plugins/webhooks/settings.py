"""Settings of the webhooks: section ``[twilio]`` of Airflow's configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow.sdk.configuration import conf

from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.plugins.webhooks.signature import Secret

__all__ = ["Settings"]

SECTION = "twilio"


@dataclass(frozen=True)
class Settings:
    """The options. ``public_url`` is the address that Twilio calls and signs, up to and without ``/inbound``.

    ``max_body`` is bytes; ``max_rate`` is genuine requests a second, for each process of the API server;
    ``wakes`` has webhooks wake the tasks that wait for what they tell, ``keeps_codes`` has the codes of
    failed messages kept for tasks.
    """

    public_url: str
    conn_id: str = "twilio_default"
    secrets: tuple[Secret, ...] = ()
    max_body: int = 262_144
    max_rate: float = 250.0
    remember_days: float = 30.0
    reply: str = field(default="", repr=False)
    wakes: bool = False
    keeps_codes: bool = False

    @classmethod
    def read(cls) -> Settings:
        """Raises :class:`InvalidInput` with the option and the fix."""
        token = conf.get(SECTION, "webhook_auth_token", fallback="")
        return cls(
            public_url=_address(conf.get(SECTION, "webhook_public_url", fallback="")),
            conn_id=conf.get(SECTION, "webhook_conn_id", fallback="twilio_default"),
            secrets=(*([Secret(token)] if token else []), *_shared()),
            max_body=conf.getint(SECTION, "webhook_max_body", fallback=262_144),
            max_rate=conf.getfloat(SECTION, "webhook_max_rate", fallback=250.0),
            remember_days=conf.getfloat(SECTION, "webhook_remember_days", fallback=30.0),
            reply=conf.get(SECTION, "webhook_reply", fallback=""),
            wakes=conf.getboolean(SECTION, "webhook_wakes", fallback=False),
            keeps_codes=conf.getboolean(SECTION, "webhook_keeps_codes", fallback=False),
        )


def _address(text: str) -> str:
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise InvalidInput.at(
            "webhook_public_url",
            "is no address that Twilio could call",
            "Give what Twilio is told, up to and with /twilio, such as https://airflow.example.com/twilio",
        )
    return text.strip().rstrip("/")


def _shared() -> tuple[Secret, ...]:
    text = conf.get(SECTION, "webhook_shared_keys", fallback="")
    try:
        keys = json.loads(text) if text else {}
        if not isinstance(keys, dict) or not all(isinstance(value, str) and value for value in keys.values()):
            raise ValueError
    except ValueError:
        raise InvalidInput.at(
            "webhook_shared_keys",
            "is no JSON object of texts",
            'Expected {"webhooks_sharedkey_...": "secret"}',
        ) from None
    return tuple(Secret(value, key, "HMAC_SHA256") for key, value in keys.items())
