"""The trigger for the messages of a classic bulk send: by pages of the list, exact, without SIDs."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow_provider_twilio_comms._core.waiting.base import Budget
from airflow_provider_twilio_comms._core.waiting.sent_messages import SentOutcome
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.triggers.messages import TwilioSentMessagesTrigger
from tests.classic_sends import FROM, SERVICE, add_messages, describe
from tests.triggers.conftest import fired, until

LIST = "GET /api/2010-04-01/Accounts/{AccountSid}/Messages.json"


def trigger(sent: dict[str, Any], **changes: Any) -> TwilioSentMessagesTrigger:
    values = {"deadline": time.time() + 20, "since": time.time(), "poll_interval": 0.1, **changes}
    return TwilioSentMessagesTrigger(sent, "twilio_default", **values)


async def counted(sent: dict[str, Any], **changes: Any) -> tuple[str, bool, int, dict[str, int]]:
    """How a wait ends: its status, if the counts are exact, the rows found, and the counts above 0."""
    outcome = SentOutcome.from_event(await fired(trigger(sent, **changes)))
    assert outcome.tally is not None
    stats = {name: count for name, count in outcome.tally.stats.to_dict().items() if count}
    for name in ("total", "recipients", "attempts"):
        stats.pop(name, None)
    return outcome.status, outcome.tally.exact, outcome.tally.found, stats


class Hasty(TwilioSentMessagesTrigger):
    """Counts polls alone, no seconds."""

    budget = Budget(flaky=0.0, hopeless=0.0, grace=0.0)


async def test_one_event_of_counts_and_codes(twilio: Running) -> None:
    sids = add_messages(twilio, 40) + add_messages(twilio, 1, to="+12025559005")
    event = await fired(trigger(describe(twilio, sids, refused={"21211": 2}, assumed=1), until="delivered"))
    outcome = SentOutcome.from_event(event)
    assert outcome.tally is not None
    assert (outcome.status, outcome.tally.exact, outcome.tally.found) == ("done", True, 41)
    assert (outcome.tally.codes, outcome.tally.stats.asked) == ({30005: 1, 21211: 2}, 44)
    assert outcome.to_event() == event
    assert "202555" not in json.dumps(event)
    assert not any(sid in json.dumps(event) for sid in sids)


async def test_a_round_costs_a_request_for_a_thousand_messages(twilio: Running) -> None:
    sent = describe(twilio, add_messages(twilio, 5_000, service=SERVICE))
    assert await counted(sent) == ("done", True, 5_000, {"delivered": 5_000})
    assert twilio.twilio.journal.counts[LIST] == 5
    assert sum(twilio.twilio.journal.counts.values()) == 5
    assert len(json.dumps(trigger(sent).serialize())) < 1_000


async def test_sends_of_other_times_and_services_are_not_counted(twilio: Running) -> None:
    add_messages(twilio, 30)
    twilio.twilio.clock.advance(3600)
    sent = describe(twilio, add_messages(twilio, 20))
    add_messages(twilio, 10, service=SERVICE)
    add_messages(twilio, 5, from_="+15005550010")
    twilio.twilio.clock.advance(3600)
    add_messages(twilio, 7)
    assert await counted(sent) == ("done", True, 20, {"delivered": 20})


async def test_the_list_is_read_no_further_than_the_send(twilio: Running) -> None:
    add_messages(twilio, 5_000, prefix="+1202557")
    twilio.twilio.clock.advance(3600)
    sent = describe(twilio, add_messages(twilio, 10), sent=11)  # one that is not listed
    event = await fired(trigger(sent, deadline=time.time() + 0.3))
    assert SentOutcome.from_event(event).status == "timeout"
    rounds = {entry["query"][-1] for entry in twilio.twilio.journal.recent}
    assert len(rounds) <= 2, "no page beyond the second is asked for"


async def test_a_stranger_among_them_makes_it_inexact_without_the_sids(twilio: Running) -> None:
    sids = add_messages(twilio, 20)
    add_messages(twilio, 1, to="+12025559003")
    status, exact, found, _ = await counted(describe(twilio, sids))
    assert (status, exact, found) == ("done", False, 21)


async def test_a_file_of_sids_makes_it_exact(twilio: Running, tmp_path: Path) -> None:
    sids = add_messages(twilio, 20)
    add_messages(twilio, 3, to="+12025559003")
    path = tmp_path / "sids.txt"
    path.write_text("\n".join(sids) + "\n")
    sent = describe(twilio, sids, sids_path=path.as_uri())
    assert await counted(sent) == ("done", True, 20, {"delivered": 20})


async def test_a_file_that_is_gone_or_short_is_done_without(twilio: Running, tmp_path: Path) -> None:
    sids = add_messages(twilio, 20)
    short = tmp_path / "short.txt"
    short.write_text("\n".join(sids[1:]))
    for path in (tmp_path / "gone.txt", short):
        assert await counted(describe(twilio, sids, sids_path=path.as_uri())) == (
            "done",
            True,
            20,
            {"delivered": 20},
        )


async def test_waits_of_one_account_share_their_pages(twilio: Running) -> None:
    others = [f"MG{number:032x}" for number in range(1, 4)]
    sends = [describe(twilio, add_messages(twilio, 900, service=service)) for service in others]
    events = await asyncio.gather(*(fired(trigger(sent)) for sent in sends))
    assert [SentOutcome.from_event(event).tally.found for event in events] == [900] * 3  # type: ignore[union-attr]
    assert twilio.twilio.journal.counts[LIST] == 3, "2,700 rows are three pages"


async def test_delivery_ends_when_enough_have_arrived(twilio: Running) -> None:
    sids = add_messages(twilio, 9) + add_messages(twilio, 1, to="+12025559000")  # never a receipt
    sent = describe(twilio, sids)
    assert await counted(sent, until="delivered", enough=0.9) == (
        "done",
        True,
        10,
        {"delivered": 9, "sent": 1},
    )
    status, *_ = await counted(sent, until="delivered", enough=0.95, deadline=time.time() + 0.3)
    assert status == "timeout"
    assert (await counted(sent, until="processed"))[0] == "done"


async def test_it_goes_on_while_messages_are_queued(twilio: Running) -> None:
    twilio.twilio.change(pace=1_000)
    waiting = asyncio.ensure_future(fired(trigger(describe(twilio, add_messages(twilio, 3)))))
    await until(lambda: twilio.twilio.journal.counts[LIST] >= 2)
    assert not waiting.done()
    twilio.twilio.clock.advance(601)  # sent, and not delivered
    assert SentOutcome.from_event(await waiting).tally.stats.sent == 3  # type: ignore[union-attr]


async def test_messages_that_the_list_lacks_are_waited_for_a_while(twilio: Running) -> None:
    sids = add_messages(twilio, 10)
    sent = describe(twilio, sids)
    del twilio.twilio.part(Messages).by_sid[sids[3]]
    hasty = Hasty(sent, "twilio_default", deadline=time.time() + 20, poll_interval=0.05)
    outcome = SentOutcome.from_event(await fired(hasty))
    assert (outcome.status, outcome.tally.found) == ("done", 9)  # type: ignore[union-attr]
    assert twilio.twilio.journal.counts[LIST] >= 4, "three in a row after the first"


async def test_twilio_is_left_alone_while_it_holds_scheduled_messages(twilio: Running) -> None:
    held = time.time() + 1.0
    sids = add_messages(twilio, 3, service=SERVICE, start=held)
    await fired(
        trigger(describe(twilio, sids, held_until=datetime.fromtimestamp(held, timezone.utc).isoformat()))
    )
    assert min(entry["at"] for entry in twilio.twilio.journal.recent) >= held


async def test_a_poll_that_fails_is_made_again(twilio: Running) -> None:
    twilio.twilio.faults.add(Fault(kind="error_before", path="Messages", times=2))
    assert (await counted(describe(twilio, add_messages(twilio, 3))))[0] == "done"
    twilio.twilio.faults.add(Fault(kind="error_before", path="Messages", times=None))
    hasty = Hasty(
        describe(twilio, add_messages(twilio, 3)),
        "twilio_default",
        deadline=time.time() + 20,
        poll_interval=0.05,
    )
    outcome = SentOutcome.from_event(await fired(hasty))
    assert (outcome.status, outcome.error and outcome.error["status"]) == ("error", 500)


async def test_the_log_of_a_kill_names_no_number(twilio: Running, capsys: Any) -> None:
    await trigger(describe(twilio, add_messages(twilio, 3))).on_kill()
    logged = capsys.readouterr().out
    assert "3 messages" in logged
    assert FROM not in logged
