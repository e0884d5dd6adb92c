"""The emulator as a process of its own, and what it saw, read through its control API."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import requests

from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

__all__ = ["Emulation"]

_PAGE = 500
_SEND = re.compile(r"POST /(comms/[^/]+/Messages|api/[^/]+/Accounts/[^/]+/Messages(\.json)?)")


class Emulation:
    """How to start the emulator on a port, how to connect to it, and what it received."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url: str = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "airflow_provider_twilio_comms.emulator", "--port", str(self.port)]

    def connection(self, **extra: Any) -> str:
        """The value of ``AIRFLOW_CONN_TWILIO_DEFAULT``."""
        return json.dumps(
            {
                "conn_type": "twilio",
                "login": ACCOUNT_SID,
                "password": AUTH_TOKEN,
                "extra": {"base_url": f"{self.url}/{{product}}", **extra},
            }
        )

    def close(self) -> None:
        self._session.close()

    def control(self, method: str, what: str, body: Any = None) -> Any:
        """One request to the control API; see ``emulator/control.py`` for what there is."""
        reply = self._session.request(method, f"{self.url}/_emulator/{what}", json=body, timeout=30)
        reply.raise_for_status()
        return reply.json()

    def health(self) -> Any:
        return self.control("GET", "health")

    def change(self, **options: Any) -> None:
        """Change options of the running emulator, such as ``pace``."""
        self.control("POST", "options", options)

    def fault(self, **fault: Any) -> None:
        """Let something go wrong once, or as often as the fault says; see ``emulator/faults.py``."""
        self.control("POST", "faults", fault)

    def ledger(self) -> dict[str, int]:
        """How often each address was texted, whatever any client believes."""
        recipients: dict[str, int] = self.control("GET", "ledger")["recipients"]
        return recipients

    def texted(self) -> int:
        """How many messages were taken so far, without naming anybody."""
        return int(self.control("GET", "ledger?recipients=0")["messages"])

    def sends(self) -> int:
        """How many requests to send messages have arrived, accepted or not."""
        counts: Mapping[str, int] = self.control("GET", "requests")["counts"]
        return sum(count for route, count in counts.items() if _SEND.fullmatch(route))

    def operations(self) -> list[dict[str, Any]]:
        """The latest dozen of operations, newest first, as Twilio's API shows them."""
        found: list[dict[str, Any]] = self.control("GET", "outbox?size=1")["operations"]
        return found

    def failures(self) -> Counter[int | None]:
        """Messages that failed, by Twilio's code; None are those that no sender could reach at all."""
        codes: Counter[int | None] = Counter()
        for status in ("FAILED", "UNDELIVERED"):
            page = 0
            rows: list[dict[str, Any]] = [{}]
            while rows:
                rows = self.control("GET", f"outbox?status={status}&size={_PAGE}&page={page}")["rows"]
                codes.update(row["code"] for row in rows)
                page += 1
        return codes
