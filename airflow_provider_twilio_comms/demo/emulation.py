"""The emulator as a process of its own, and its counts, read through its control API."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import requests

from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN, SENDER

__all__ = ["Emulation"]

_PAGE = 500
_SEND = re.compile(r"POST /(comms/[^/]+/Messages|api/[^/]+/Accounts/[^/]+/Messages(\.json)?)")


class Emulation:
    """An emulator on a port: the command that starts it, its connection, and what it received."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url: str = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "airflow_provider_twilio_comms.emulator", "--port", str(self.port)]

    def connection(self, **extra: Any) -> str:
        """Write the value of ``AIRFLOW_CONN_TWILIO_DEFAULT``."""
        return json.dumps(
            {
                "conn_type": "twilio",
                "login": ACCOUNT_SID,
                "password": AUTH_TOKEN,
                "extra": {"base_url": f"{self.url}/{{product}}", "default_sender": SENDER, **extra},
            }
        )

    def close(self) -> None:
        self._session.close()

    def control(self, method: str, what: str, body: Any = None) -> Any:
        """Make a request to the control API, which ``emulator/control.py`` lists."""
        reply = self._session.request(method, f"{self.url}/_emulator/{what}", json=body, timeout=30)
        reply.raise_for_status()
        return reply.json()

    def health(self) -> Any:
        return self.control("GET", "health")

    def change(self, **options: Any) -> None:
        """Change options of the running emulator, such as ``pace``."""
        self.control("POST", "options", options)

    def fault(self, **fault: Any) -> None:
        """Inject a fault, once or as often as it says; see ``emulator/faults.py``."""
        self.control("POST", "faults", fault)

    def ledger(self) -> dict[str, int]:
        """Count how often each address was texted."""
        recipients: dict[str, int] = self.control("GET", "ledger")["recipients"]
        return recipients

    def texted(self) -> int:
        """Count the messages that were accepted so far, without their recipients."""
        return int(self.control("GET", "ledger?recipients=0")["messages"])

    def sends(self) -> int:
        """Count the requests to send messages, accepted or not."""
        counts: Mapping[str, int] = self.control("GET", "requests")["counts"]
        return sum(count for route, count in counts.items() if _SEND.fullmatch(route))

    def operations(self) -> list[dict[str, Any]]:
        """List the latest dozen operations, newest first, as Twilio's API shows them."""
        found: list[dict[str, Any]] = self.control("GET", "outbox?size=1")["operations"]
        return found

    def statuses(self, *names: str) -> Counter[str]:
        """Count the messages that have these statuses now, whichever API took them."""
        return Counter(
            {name: self.control("GET", f"outbox?status={name.upper()}&size=1")["total"] for name in names}
        )

    def failures(self) -> Counter[int | None]:
        """Count failed messages by Twilio's code; None counts those that no sender could reach at all."""
        codes: Counter[int | None] = Counter()
        for status in ("FAILED", "UNDELIVERED"):
            page = 0
            rows: list[dict[str, Any]] = [{}]
            while rows:
                rows = self.control("GET", f"outbox?status={status}&size={_PAGE}&page={page}")["rows"]
                codes.update(row["code"] for row in rows)
                page += 1
        return codes
