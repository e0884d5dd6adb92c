"""The conformance command: the emulator is as assumed, and what is otherwise is seen and reported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms.api.classic import messages as classic
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.conformance.__main__ import CHECKS, main
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from tests.conftest import environment

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

OWN, SENDER = "+12025550101", "+15005550006"
READS = [check.name for check in CHECKS if not check.name.startswith("send-")]


class Run:
    """A run of the command: how it ended, and each verdict that it printed."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        report = tmp_path / "report.md"
        self.status = main(["--yes", "--report", str(report), *arguments])
        printed = capsys.readouterr()
        self.printed = printed.out + printed.err
        self.report = report.read_text() if report.exists() else ""
        found = re.findall(r"^(as assumed|DIFFERS|not tried) +(\S+)  +(.*)", self.printed, re.M)
        self.verdicts = {name: verdict for verdict, name, _ in found}
        self.seen = {name: text for _, name, text in found}


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda *arguments: Run(tmp_path, capsys, *arguments)


def send_some() -> None:
    hook = TwilioHook()
    for _ in range(2):
        to = [{"address": OWN, "channel": "PHONE"}]
        hook.run(messages.send(to, "Your secret is 4711", sender=SENDER))
        hook.run(classic.send(OWN, from_=SENDER, body="Your secret is 4711"))


def test_the_emulator_is_all_that_is_assumed(emulator: Running, hurried: None, run: Any) -> None:
    send_some()
    emulator.twilio.clock.advance(60)
    done = run("--to", OWN, "--from", SENDER)
    assert {name for name, verdict in done.verdicts.items() if verdict != "as assumed"} == set()
    assert list(done.verdicts) == [check.name for check in CHECKS]
    assert done.status == 0
    assert len(set(done.verdicts)) == len(CHECKS)


def test_a_run_that_reads_texts_nobody_and_changes_nothing(emulator: Running, run: Any) -> None:
    send_some()
    before = emulator.twilio.ledger.to_dict()
    done = run()
    assert list(done.verdicts) == READS
    assert emulator.twilio.ledger.to_dict() == before
    assert "It reads only, and texts nobody" in done.printed
    wrote = [route for route in emulator.twilio.journal.counts if not route.startswith("GET")]
    assert emulator.twilio.journal.counts["POST /comms/v1/Messages"] == 4  # two of ours, two to nobody
    assert len(wrote) == 2


def test_no_more_messages_are_sent_than_allowed(emulator: Running, hurried: None, run: Any) -> None:
    done = run("--to", OWN, "--from", SENDER, "--max-messages", "1")
    assert emulator.twilio.ledger.to_dict()["recipients"] == {OWN: 1}
    assert "send-classic" not in done.verdicts
    assert done.verdicts["send-counters"] == "as assumed"  # what depends on the one message is looked at
    assert "texts the number given with --to 1 times" in done.printed
    assert "scheduled" not in done.printed


def test_the_report_holds_no_number_text_sid_or_id(emulator: Running, hurried: None, run: Any) -> None:
    send_some()
    emulator.twilio.clock.advance(60)
    done = run("--to", OWN, "--from", SENDER)
    for text in (done.report, done.printed):
        for secret in ("2025550101", "5005550006", "4711", AUTH_TOKEN, ACCOUNT_SID, "comms_operation_0"):
            assert secret not in text
        assert not re.search(r"\b(SM|MM|AC)[0-9a-f]{32}\b", text)
    assert f"{len(CHECKS)} as assumed, 0 DIFFERS, 0 not tried" in done.report


@pytest.mark.parametrize(
    ("options", "check", "seen"),
    [
        ({"accepted": "header"}, "send-place-of-id", "202; header operationid"),
        ({"ignore_tags": True}, "send-filter-tags", "rows"),
        ({"list_lag": 400.0}, "send-filter-tags", "not within 180 s"),
        ({"operation_after": 90.0}, "send-readable", "after 9"),
        ({"list_lag": 60.0}, "send-classic", "listed after 6"),
        ({"pace": 3600.0}, "send-counters", "PROCESSING"),
    ],
    ids=lambda each: str(each),
)
def test_another_twilio_is_seen(
    emulator: Running, hurried: None, run: Any, options: dict[str, Any], check: str, seen: str
) -> None:
    send_some()
    emulator.twilio.clock.advance(500)
    emulator.twilio.change(**options)
    done = run("--to", OWN, "--from", SENDER)
    assert done.verdicts[check] == "DIFFERS"
    assert seen in done.seen[check]
    assert done.status == 1
    assert f"| {check} |" in done.report


@pytest.mark.parametrize(
    ("fault", "check", "seen"),
    [
        (Fault(kind="bad_gateway", path="/Senders", times=None), "comms-senders", "502"),
        (Fault(kind="error_before", path="/Countries/US", times=None), "prices", "500, code 20500"),
    ],
    ids=["gateway", "500"],
)
def test_an_error_is_seen_by_its_status(
    emulator: Running, hurried: None, run: Any, fault: Fault, check: str, seen: str
) -> None:
    emulator.twilio.faults.add(fault)
    done = run()
    assert (done.verdicts[check], done.status) == ("DIFFERS", 1)
    assert done.seen[check].startswith(seen)


def test_a_connection_that_forbids_sends_is_respected(emulator: Running, hurried: None, run: Any) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
        done = run("--to", OWN, "--from", SENDER)
    assert done.verdicts["send-place-of-id"] == "not tried"
    assert emulator.twilio.ledger.to_dict()["recipients"] == {}


def test_it_asks_before_it_begins(
    emulator: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    assert main([]) == 2
    assert "Nothing was asked of Twilio" in capsys.readouterr().out
    assert emulator.twilio.journal.counts == {}


def test_what_cannot_run_says_why(emulator: Running, run: Any) -> None:
    assert run("--conn-id", "nobody").status == 2
    assert "Give a sender with --from" in run("--to", OWN).printed
