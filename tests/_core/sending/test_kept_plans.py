"""Kept plans, and ledgers of the version before: what an earlier try left is its own, and is read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.sending.ledger import HEADS, send_id
from airflow_provider_twilio_comms.exceptions import SendUncertain
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import break_bulk, bulk, people, stopped_after, texted
from tests.operators.single_sends import ADA, EVE, message, taken

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

CHUNKS = {"recipients_per_request": 3}


def test_a_snapshot_is_taken_by_its_own_task_instance_only(emulator: Running, tmp_path: Path) -> None:
    given = {"snapshot_path": str(tmp_path), "send_key": "monday"}
    bulk(people(3), **given).execute(context(MemoryStore(), run_id="first"))
    with pytest.raises(AirflowFailException):  # other people under the same key
        bulk(people(4, first=10), **given).execute(context(MemoryStore(), run_id="second"))
    given["send_key"] = "tuesday"
    result = bulk(people(4, first=10), **given).execute(context(MemoryStore(), run_id="second"))
    assert result
    assert result["recipients"] == 4
    assert texted(emulator) == [7, 1]


def test_a_snapshot_is_kept_where_the_configuration_says(emulator: Running, tmp_path: Path) -> None:
    store = MemoryStore()
    with environment(AIRFLOW__TWILIO__SNAPSHOT_PATH=str(tmp_path)):
        stopped_after(emulator, 1, store, people(9), **CHUNKS)
        assert bulk([], **CHUNKS).execute(context(store, try_number=2))
    assert texted(emulator) == [9, 1]


def test_whoever_opts_out_between_tries_is_left_out_of_a_snapshot(emulator: Running, tmp_path: Path) -> None:
    store, rows = MemoryStore(), people(9)
    given: dict[str, Any] = {"snapshot_path": str(tmp_path), **CHUNKS}
    stopped_after(emulator, 1, store, rows, **given)
    stop = [rows[0]["address"], rows[5]["address"]]
    result = bulk([], suppress=stop, **given).execute(context(store, try_number=2))
    assert result
    assert (result["recipients"], result["rejected"]) == (8, 1)
    assert stop[1] not in emulator.twilio.ledger.to_dict()["recipients"]
    assert texted(emulator) == [8, 1]


def test_old_snapshots_are_removed_and_nothing_else(emulator: Running, tmp_path: Path) -> None:
    bulk(people(3), snapshot_path=str(tmp_path)).execute(context(MemoryStore(), run_id="first"))
    (first,) = tmp_path.iterdir()
    foreign = tmp_path / ("a" * 20)
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    bulk(people(3), snapshot_path=str(tmp_path)).execute(context(MemoryStore(), run_id="second"))
    assert first.is_dir()
    os.utime(first / "manifest.json", (0, 0))
    bulk(people(3), snapshot_path=str(tmp_path)).execute(context(MemoryStore(), run_id="third"))
    assert not first.exists()
    assert (foreign / "notes.txt").exists()
    assert len(list(tmp_path.iterdir())) == 3


# The version before


def old_ledger(store: MemoryStore, entries: list[dict[str, Any]], noun_parts: int) -> str:
    """Return what version 4ec556a kept of the send ``dag|run|send|-1``."""
    name = send_id("dag|run|send|-1")
    store.set(f"twilio.{name}.begun", {"parts": noun_parts, "since": 1_790_000_000.0})
    for number, entry in enumerate(entries):
        store.set(f"twilio.{name}.{number}", entry)
    return name


def test_a_ledger_of_the_version_before_texts_nobody_twice(emulator: Running) -> None:
    store, fresh = MemoryStore(), MemoryStore()
    stopped_after(emulator, 1, fresh, people(9), **CHUNKS)
    head = next(iter(json.loads(fresh.values[HEADS]).values()))
    done = json.loads(fresh.values[f"twilio.{head['name']}.0"])
    entry = {key: done[key] for key in ("state", "fingerprint", "count", "operation_id")}
    refused = {"state": "refused", "fingerprint": "0" * 16, "count": 3}
    old_ledger(store, [entry, refused], 3)
    result = bulk(people(9), **CHUNKS).execute(context(store, try_number=2))
    assert result
    assert texted(emulator) == [9, 1]
    assert bulk([], **CHUNKS).execute(context(store, try_number=3)) == result


def test_an_open_chunk_of_the_version_before_is_found_by_its_old_tag(emulator: Running) -> None:
    from airflow_provider_twilio_comms.api.comms import messages
    from airflow_provider_twilio_comms.api.flows import made

    fresh, store = MemoryStore(), MemoryStore()
    break_bulk(emulator, "drop_before")
    with pytest.raises(SendUncertain):
        bulk(people(3)).execute(context(fresh))
    head = next(iter(json.loads(fresh.values[HEADS]).values()))
    entry = json.loads(fresh.values[f"twilio.{head['name']}.0"])
    name = old_ledger(store, [{key: entry[key] for key in ("state", "fingerprint", "count", "since")}], 1)
    call = messages.send(
        people(3),
        "Hello {{ name | default: 'you' }}",
        sender="+15005550006",
        tags={"airflow_send": f"{name}.0"},
    )
    TwilioHook().run(made(call))
    assert bulk(people(3)).execute(context(store, try_number=2))
    assert texted(emulator) == [3, 1]


def test_messages_of_the_version_before_are_not_sent_again(emulator: Running) -> None:
    from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage

    store = MemoryStore()
    name = send_id("dag|run|send|-1")
    task = message(to=[ADA, EVE])
    letter = OutgoingMessage.of({"from_": task.from_.value, "body": task.body.value})
    marks = [letter.sent_to([to]).fingerprint(0, name) for to in (ADA, EVE)]
    sent = {"state": "accepted", "fingerprint": marks[0], "count": 1, "operation_id": "SM" + "0" * 32}
    old_ledger(store, [sent], 2)
    assert len(task.execute(context(store, try_number=2))["sids"]) == 2
    assert taken(emulator) == {EVE: 1}
