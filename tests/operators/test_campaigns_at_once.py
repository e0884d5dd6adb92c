"""Random campaigns at once from several processes, killed and retried: the cap and consent hold."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_twilio_comms.emulator.faults import Fault
from tests.forked import FORKED
from tests.operators.campaign_process import Campaign, attempt_campaign
from tests.operators.test_consent import say
from tests.warehouse import SECRET, in_postgres

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

PEOPLE = [f"+1202{n:07d}" for n in range(40)]
CAP = 2


def together(campaigns: list[Campaign], environment: dict[str, str], try_number: int, settled: bool) -> int:
    """A try of each, all at once; returns how many were killed."""
    tries = [
        FORKED.Process(target=attempt_campaign, args=(each, environment, try_number, settled))
        for each in campaigns
    ]
    for process in tries:
        process.start()
    for process in tries:
        process.join(120)
    codes = [process.exitcode for process in tries]
    assert set(codes) <= {0, -signal.SIGKILL}
    return sum(code != 0 for code in codes)


def messages(emulator: Running) -> dict[str, int]:
    return dict(emulator.twilio.ledger.to_dict()["recipients"])


@pytest.mark.parametrize("seed", [1])
def test_nobody_gets_more_than_the_cap_and_none_who_refused(
    emulator: Running, postgres: Postgres, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    campaigns = [
        Campaign(f"campaign {n}", seed * 100 + n, PEOPLE, str(tmp_path / f"ledger{n}")) for n in range(5)
    ]
    with in_postgres(postgres):
        cap = {"messages": CAP, "days": 7, "create_table": True}
        consent = {"conn_id": "warehouse", "table": "opt_outs"}
        connection = emulator.connection_json(
            max_attempts=1, hash_secret=SECRET, consent=consent, frequency_cap=cap
        )
        environment = {
            "AIRFLOW_CONN_TWILIO_DEFAULT": connection,
            "AIRFLOW_CONN_WAREHOUSE": postgres.connection,
        }
        refused = chance.sample(PEOPLE, k=6)
        say("stop", *refused)
        killed = 0
        for try_number in (1, 2):
            for kind in chance.sample(["rate_limited", "bad_gateway", "drop_after", "drop_before"], k=2):
                skip = chance.randrange(6)
                emulator.twilio.faults.add(
                    Fault(kind=kind, method="POST", skip=skip, times=2, path="/Messages")
                )
            before = messages(emulator)
            killed += together(campaigns, environment, try_number, settled=False)
            assert not set(refused) & (messages(emulator).keys() - before.keys())
            assert all(messages(emulator)[number] == before[number] for number in refused if number in before)
            another = chance.choice([number for number in PEOPLE if number not in refused])
            refused.append(another)
            say("stop", another)
        emulator.twilio.faults.clear()
        before = messages(emulator)
        assert together(campaigns, environment, 3, settled=True) == 0
        found = messages(emulator)
        assert {number: found.get(number) for number in refused} == {n: before.get(n) for n in refused}
        assert max(found.values()) == CAP
        assert sum(found.values()) > len(PEOPLE), "the campaigns came through"
        assert killed, "some were killed on their way"
        rows = postgres.execute(
            "SELECT person, COUNT(*) FROM twilio_frequency WHERE claimed_at > 0 GROUP BY person"
        )
        assert max(int(str(row[1])) for row in rows) == CAP
        assert sum(int(str(row[1])) for row in rows) >= sum(found.values())
