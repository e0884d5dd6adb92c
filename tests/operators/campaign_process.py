"""A try of a random campaign in a process of its own, which may be killed on its way."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import context
from tests.operators.killed_worker import FileStore, killed_at

__all__ = ["Campaign", "attempt_campaign"]

# Where a worker dies: before or after the fence, after a reply, or not at all.
MOMENTS = (r"ledger \d+ sending", "Twilio accepted", r"ledger \d+ accepted", "^$", "^$")


@dataclass(frozen=True)
class Campaign:
    """A send to some people, made up of a seed: the same on every try."""

    name: str
    seed: int
    people: Sequence[str]
    ledger: str = field(repr=False)

    def operator(self, settled: bool) -> Any:
        """The task; ``settled`` takes as sent what stays unknown."""
        from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
        from tests.operators.bulk_sends import bulk
        from tests.operators.classic_sends import classic

        chance = random.Random(self.seed)
        people = chance.sample(self.people, k=len(self.people) * 2 // 3)
        common: dict[str, Any] = {
            "on_unknown": "assume_sent" if settled else "fail",
            "unknown_after": 0.2,
            "on_empty": "skip",
        }
        kind = chance.choice(["comms", "classic", "single"])
        if kind == "single":
            few = people[: len(people) // 2]
            return TwilioSendMessageOperator(
                task_id="send", to=few, body=self.name, from_="+15005550006", wait_for="queued", **common
            )
        size = chance.choice([3, 7, 40])
        if kind == "classic":
            return classic(people, content=self.name, requests_at_once=size, **common)
        return bulk(
            people,
            content=self.name,
            recipients_per_request=size,
            requests_at_once=chance.choice([1, 3]),
            **common,
        )


def attempt_campaign(
    campaign: Campaign, environment: dict[str, str], try_number: int, settled: bool = False
) -> None:
    """Run a try; what ends it is for the next one."""
    from airflow.sdk.exceptions import AirflowException, AirflowSkipException

    from airflow_provider_twilio_comms.exceptions import TwilioError

    os.environ.update(environment)
    chance = random.Random(campaign.seed * 10 + try_number)
    moment = "^$" if settled else chance.choice(MOMENTS)
    logging.getLogger().setLevel(logging.INFO)
    with killed_at(moment, skip=chance.randrange(3)):
        values = context(FileStore(Path(campaign.ledger)), try_number=try_number, run_id=campaign.name)
        with suppress(*((AirflowSkipException,) if settled else (AirflowException, TwilioError))):
            campaign.operator(settled).execute(values)
