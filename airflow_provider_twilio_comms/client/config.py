"""Configuration of a connection, as plain values: who we are, where Twilio is, and what is forbidden.

A ``Config`` is frozen and hashable, reads nothing, and shows no secret in its repr. Two hooks whose
connections say the same share one session because their configs are equal.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import InvalidInput, Refused

__all__ = ["Config", "ConnectionLike", "FrequencyCap", "TablePlace", "frequency_cap"]

# Twilio processes data in a region and is entered by an edge; a region alone is a dead host since April 2026.
# https://www.twilio.com/docs/global-infrastructure/edge-locations
_EDGE_OF_REGION = {"us1": "ashburn", "ie1": "dublin", "au1": "sydney", "jp1": "tokyo"}
# No edge or region is documented for these hosts.
_US1_ONLY = ("audiences", "comms", "events", "memory", "oauth")
_KINDS = {"AC": "auth token", "SK": "API key", "OQ": "OAuth client"}


class ConnectionLike(Protocol):
    """The part of Airflow's Connection that is read here."""

    conn_id: str
    login: str | None
    password: str | None
    extra: str | None


class TablePlace(NamedTuple):
    """A table, and the id of the connection to its database."""

    conn_id: str
    table: str


class FrequencyCap(NamedTuple):
    """At most so many ``messages`` to a person in any so many ``days``, over all sends that share a table.

    ``conn_id`` and ``table`` are where they are counted; None is left to the connection.
    """

    messages: int
    days: float
    conn_id: str | None = None
    table: str | None = None
    create_table: bool = False


def frequency_cap(given: Any) -> FrequencyCap:
    """Read ``{"messages": 2, "days": 7}``. Raises :class:`InvalidInput`."""
    return _read("frequency_cap", given)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Config:
    """Everything a client needs to know.

    ``login`` and ``secret`` are an account SID with its auth token, an API key SID with its secret, or an
    OAuth client id with its secret. ``timeout`` is in seconds; ``base_url`` replaces
    ``https://{product}.twilio.com``.
    """

    account_sid: str
    login: str
    secret: str = field(repr=False)
    edge: str | None = None
    region: str | None = None
    comms_version: str = "v1"
    base_url: str | None = None
    timeout: float = 30.0
    max_attempts: int = 5
    default_sender: str | None = field(default=None, repr=False)
    allowed_recipients: tuple[str, ...] = field(default=(), repr=False)
    dry_run: bool = False
    bulk_generation: str = "comms"
    alert_template: str | None = field(default=None, repr=False)
    alert_store: str | None = None
    hash_secret: str | None = field(default=None, repr=False)
    consent: TablePlace | None = None
    frequency_cap: FrequencyCap | None = None

    @classmethod
    def from_connection(cls, connection: ConnectionLike) -> Config:
        """Read an Airflow connection. Raises :class:`InvalidInput` with the field and the fix."""
        extra = _extra(connection.extra)
        unknown = sorted(set(extra) - set(_READERS))
        if unknown:  # a mistyped allowed_recipients would protect nobody
            raise InvalidInput.at(
                "extra", f"does not know {', '.join(unknown)}", f"Known are {', '.join(_READERS)}"
            )
        login = (connection.login or "").strip()
        if not login or not connection.password:
            missing = "password" if login else "login"
            raise InvalidInput.at(
                missing,
                "is empty",
                "Give an account SID with its auth token, or an API key SID with its secret",
            )
        if login[:2] not in _KINDS:
            raise InvalidInput.at("login", "is not a kind of credential", "It starts with AC, SK or OQ")
        values: dict[str, Any] = {
            name: _read(name, extra[name]) for name in _READERS if extra.get(name) not in (None, "")
        }
        account_sid = values.setdefault("account_sid", login if login.startswith("AC") else "")
        if not account_sid:
            raise InvalidInput.at(
                "account_sid",
                f"is missing, and {_KINDS[login[:2]]} credentials do not say whose they are",
                "Set it in the connection's extra",
            )
        return cls(login=login, secret=connection.password, **values)

    @property
    def kind(self) -> str:
        """The kind of the login: an auth token, an API key or an OAuth client."""
        return _KINDS[self.login[:2]]

    @property
    def uses_oauth(self) -> bool:
        return self.login.startswith("OQ")

    @cached_property
    def basic(self) -> str:
        """The Authorization header of HTTP Basic, built once."""
        return "Basic " + b64encode(f"{self.login}:{self.secret}".encode()).decode()

    def __hash__(self) -> int:
        return hash((self.account_sid, self.login, self.secret, self.base_url, self.edge, self.region))

    def url(self, call: Call[Any]) -> str:
        """The address of a call: always our own host, never one that a reply named."""
        return self.base(call.product) + call.target(self.account_sid)

    def base(self, product: str) -> str:
        """Base address of the calls of one product, version included where it is ours to choose."""
        version = f"/{self.comms_version}" if product == "comms" else ""
        if self.base_url:
            return self.base_url.replace("{product}", product).rstrip("/") + version
        edge, region = self.edge, self.region
        if product in _US1_ONLY or not (edge or region):
            return f"https://{product}.twilio.com{version}"
        region = region or "us1"
        return f"https://{product}.{edge or _EDGE_OF_REGION[region]}.{region}.twilio.com{version}"

    def messages_page(self, name: str) -> str:
        """Page that shows a message, or an operation's, to a person: of Twilio's console or the emulator."""
        host = urlsplit(self.base_url or "")
        if host.hostname in ("localhost", "127.0.0.1", "::1"):
            return f"{host.scheme}://{host.netloc}/?search={name}"
        if name.startswith(("SM", "MM")):
            return f"https://www.twilio.com/console/sms/logs/{name}"
        # The console has one log of messages; no address of a single operation's is published.
        return f"https://console.twilio.com/{self.region or 'us1'}/monitor/logs/sms?operationId={name}"

    def permit(self, call: Call[Any]) -> None:
        """Raise :class:`Refused` where the connection forbids a call."""
        if self.dry_run and call.does != "reads":
            raise Refused(f"dry_run is on in the connection: {call.method} {call.path} was not made")
        barred = sum(not self.allows(address) for address in call.recipients)
        if barred:
            raise Refused(
                f"{barred} of {len(call.recipients)} recipients are outside the connection's "
                f"allowed_recipients: {call.method} {call.path} was not made"
            )

    def allows(self, address: str) -> bool:
        """Tell if the connection lets this address be texted (``whatsapp:`` and the like are taken off)."""
        if not self.allowed_recipients:
            return True
        return bool(self._allowed(address.rpartition(":")[2]))

    @cached_property
    def _allowed(self) -> Callable[[str], object]:
        return re.compile("|".join(translate(pattern) for pattern in self.allowed_recipients)).match


def _extra(text: str | None) -> Mapping[str, Any]:
    try:
        extra = json.loads(text) if text else {}
    except ValueError:
        raise InvalidInput.at("extra", "is not JSON", 'Give an object such as {"region": "ie1"}') from None
    if not isinstance(extra, dict):
        raise InvalidInput.at("extra", "is not an object", 'Give an object such as {"region": "ie1"}')
    return extra


def _read(name: str, value: Any) -> Any:
    reader, expected = _READERS[name]
    try:
        return reader(value)
    except (ValueError, TypeError, KeyError):
        raise InvalidInput.at(name, "is not valid", f"Expected {expected}") from None


def _matching(pattern: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value.strip()):
            raise ValueError
        return value.strip()

    return read


def _between(low: float, high: float, number: Callable[[Any], float]) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not low <= number(value) <= high or number(value) != float(value):
            raise ValueError
        return number(value)

    return read


def _patterns(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = re.split(r"[\s,;]+", value.strip())
    patterns = tuple(str(pattern) for pattern in value if pattern)
    if not patterns:  # an empty list, or separators alone: whoever wrote them did not mean everyone
        raise ValueError
    return patterns


def _flag(value: Any) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[str(value).strip().lower()]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _object(value: Any, needed: set[str], known: set[str]) -> Mapping[str, Any]:
    """An object, or its JSON, with all that is needed and nothing that is not known."""
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, Mapping) or not needed <= set(found) <= known:
        raise ValueError
    return found


def _consent(value: Any) -> TablePlace:
    found = _object(value, {"conn_id", "table"}, {"conn_id", "table"})
    return TablePlace(_text(found["conn_id"]).strip(), _text(found["table"]).strip())


def _cap(value: Any) -> FrequencyCap:
    found = _object(value, {"messages", "days"}, set(FrequencyCap._fields))
    messages, days = _between(1, 1000, int)(found["messages"]), _between(1 / 24, 366, float)(found["days"])
    conn_id, table = (_text(found[name]).strip() if name in found else None for name in ("conn_id", "table"))
    return FrequencyCap(int(messages), days, conn_id, table, _flag(found.get("create_table", False)))


def _region(value: Any) -> str:
    if value not in _EDGE_OF_REGION:
        raise ValueError
    return str(value)


# What may stand in a connection's extra: how it is read, and what to expect.
_READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "account_sid": (_matching("AC[0-9a-fA-F]{32}"), "AC and 32 hexadecimal digits"),
    "edge": (_matching("[a-z-]+"), "an edge location such as dublin"),
    "region": (_region, f"one of {', '.join(_EDGE_OF_REGION)}"),
    "comms_version": (_matching("v1|preview"), "v1 or preview"),
    "base_url": (_matching(r"https?://[^\s?#]+"), "an http(s) address, in which {product} may stand"),
    "timeout": (_between(0.1, 600, float), "0.1 to 600 seconds"),
    "max_attempts": (_between(1, 20, int), "1 to 20"),
    "default_sender": (_matching(r"\S.*"), "a number, sender id or sender pool id"),
    "allowed_recipients": (_patterns, "patterns such as +1500555*, separated by commas"),
    "dry_run": (_flag, "true or false"),
    "bulk_generation": (_matching("comms|classic"), "comms or classic"),
    "alert_template": (_text, "the text of alerts, a Jinja template"),
    "alert_store": (_matching(r"\S+"), "the id of a connection to a database"),
    "consent": (_consent, '{"conn_id": "warehouse", "table": "opt_outs"}'),
    "frequency_cap": (
        _cap,
        '{"messages": 2, "days": 7}, with conn_id, table and create_table if wanted; days are 1/24 to 366',
    ),
    "hash_secret": (_matching(r"\S{16,}"), "16 characters or more, without spaces"),
}
