"""The emulator as a process of its own, and what it saw, read through its control API."""

from __future__ import annotations

import json
import sys
from typing import Any

import requests

__all__ = ["Emulation"]

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "emulator"


class Emulation:
    """How to start the emulator on a port, how to connect to it, and what it received."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "airflow_provider_twilio_comms.emulator", "--port", str(self.port)]

    @property
    def connection(self) -> str:
        """The value of ``AIRFLOW_CONN_TWILIO_DEFAULT``."""
        return json.dumps(
            {
                "conn_type": "twilio",
                "login": ACCOUNT_SID,
                "password": AUTH_TOKEN,
                "extra": {"base_url": f"{self.url}/{{product}}"},
            }
        )

    def health(self) -> dict[str, Any]:
        return self._get("health")

    def ledger(self) -> dict[str, int]:
        """How often each address was texted, whatever any client believes."""
        recipients: dict[str, int] = self._get("ledger")["recipients"]
        return recipients

    def _get(self, what: str) -> dict[str, Any]:
        reply = self._session.get(f"{self.url}/_emulator/{what}", timeout=30)
        reply.raise_for_status()
        found: dict[str, Any] = reply.json()
        return found
