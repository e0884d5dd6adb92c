"""One classic-size call: the hook beside a bare ``requests.Session.post`` of the same bytes."""

from __future__ import annotations

import json
import os
from functools import partial

from tests.bench.measure import Cost, emulator, measured, paired, report

__all__ = ["run"]

CALLS = 1000
FORM = {"To": "+15551234567", "From": "+15005550006", "Body": "Your table is ready."}


def floor(url: str) -> Cost:
    import requests

    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    with requests.Session() as session:
        post = partial(
            session.post,
            f"{url}/api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json",
            data=FORM,
            auth=(ACCOUNT_SID, AUTH_TOKEN),
            timeout=30,
        )

        def work() -> None:
            for _ in range(CALLS):
                assert post().status_code == 201

        post()
        return measured(work)


def hook(url: str) -> Cost:
    from airflow_provider_twilio_comms.api.classic import messages
    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(
        {
            "conn_type": "twilio",
            "login": ACCOUNT_SID,
            "password": AUTH_TOKEN,
            "extra": {"base_url": f"{url}/{{product}}"},
        }
    )
    twilio = TwilioHook()

    def send() -> None:
        sent = twilio.run(messages.send(FORM["To"], from_=FORM["From"], body=FORM["Body"]))
        assert sent.sid

    def work() -> None:
        for _ in range(CALLS):
            send()

    send()
    return measured(work)


def run(times: int = 5) -> dict[str, float]:
    """Measure, print, and return the line for machines."""
    with emulator() as url:
        pair = paired(hook, floor, times, url)
    micros = {
        name: min(cost.cpu for cost in costs) / CALLS * 1e6
        for name, costs in (("floor", pair.floor), ("ours", pair.ours))
    }
    report(
        f"Single: {CALLS:,} messages one after the other, each a POST of {len(FORM)} form fields",
        f"CPU of the client process, building and reading the call included; {times} pairs, the median ratio",
        {
            "requests.Session.post": f"{micros['floor']:.0f} us CPU a call",
            "TwilioHook.run": f"{micros['ours']:.0f} us CPU a call  ratio {pair.cpu_ratio:.2f} (aim 1.10)",
        },
    )
    return {"single_cpu_ratio": round(pair.cpu_ratio, 3)}
