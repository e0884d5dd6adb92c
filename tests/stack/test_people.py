"""Stored people on a real Airflow: from customers in PostgreSQL to receipts that are joined to them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_twilio_comms.demo.stack import Stack
from tests.stack.leaks import credentials, leaks

if TYPE_CHECKING:
    from tests.postgres import Postgres

pytestmark = pytest.mark.stack

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "twilio_people.py"
CUSTOMERS = EXAMPLE.parent / "data" / "customers.sql"
LAPSED = "last_order < current_date - 180 AND city = 'Lisbon'"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stack]:
    """An Airflow with the example, run by hand alone, and a shop's customers."""
    postgres.execute(CUSTOMERS.read_text())
    dags = tmp_path_factory.mktemp("dags")
    by_hand = EXAMPLE.read_text().replace('schedule="@weekly"', "schedule=None")
    (dags / EXAMPLE.name).write_text(
        by_hand.replace("is_paused_upon_creation=True", "is_paused_upon_creation=False")
    )
    with Stack(dags, env={"AIRFLOW_CONN_BOOKINGS": postgres.connection}) as stack:
        stack.airflow.wait_for_dag("twilio_people")
        yield stack


def test_the_lapsed_customers_of_lisbon_are_texted_once_and_known_by_their_profiles(
    shop: Stack, postgres: Postgres
) -> None:
    assert shop.emulator is not None
    run = shop.airflow.trigger("twilio_people")
    assert shop.airflow.wait_for_run("twilio_people", run, timeout=300) == "success"
    lapsed = postgres.execute(f"SELECT phone FROM customers WHERE {LAPSED}")
    numbers = [str(phone) for (phone,) in lapsed]
    assert len(numbers) == 20
    assert shop.emulator.ledger() == dict.fromkeys(numbers, 1)
    joined = postgres.execute("SELECT count(*) FROM customers JOIN campaign_receipts USING (profile_id)")
    assert joined == [(20,)]
    assert leaks(shop, [*numbers, *credentials(shop)]) == []
