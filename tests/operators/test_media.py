"""Files of messages: copied whole, in bounded memory, and without credentials."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.resources.media import fetched
from airflow_provider_twilio_comms.api._resources import Elsewhere
from airflow_provider_twilio_comms.api.classic import media
from airflow_provider_twilio_comms.api.flows import Download, advance, saved
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import ApiError, TransportFailed
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.media import (
    TwilioDeleteMediaOperator,
    TwilioDownloadMediaOperator,
)
from tests.fakes import MemoryStore, context
from tests.operators.single_sends import ADA, message

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

PICTURE, TEXT = "https://example.com/a.gif", "https://example.com/b.txt"


def sent() -> str:
    sids = message(media_url=[PICTURE, TEXT]).execute(context(MemoryStore()))["sids"]
    return str(sids[0])


def storage(emulator: Running) -> list[dict[str, Any]]:
    return [each for each in emulator.twilio.journal.recent if each["path"].startswith("/storage")]


def test_files_are_copied_twice_alike_and_the_storage_sees_no_credentials(
    emulator: Running, tmp_path: Path
) -> None:
    sid = sent()
    download = TwilioDownloadMediaOperator(task_id="get", sids=sid, output_path=str(tmp_path / "media"))
    results = [download.execute(context()), download.execute(context())]
    assert results[0] == results[1]
    assert results[0]["count"] == 2
    files = sorted(path for path in (tmp_path / "media").rglob("*") if path.is_file())
    assert sorted(results[0]["files"]) == [str(path.relative_to(tmp_path / "media")) for path in files]
    assert {path.suffix for path in files} == {".gif", ".txt"}
    assert results[0]["bytes"] == sum(path.stat().st_size for path in files)
    assert {each["status"] for each in storage(emulator)} == {200}  # which refuses whoever brings credentials


@pytest.mark.parametrize("kind", ["cut", "drop_after", "drop_before", "error_before", "bad_gateway"])
def test_a_file_that_breaks_off_is_begun_anew(emulator: Running, tmp_path: Path, kind: Any) -> None:
    sid = sent()
    emulator.twilio.faults.add(Fault(kind=kind, path="^/storage", times=2))
    get = TwilioDownloadMediaOperator(task_id="get", sids=sid, output_path=str(tmp_path), at_once=1)
    result = get.execute(context())
    assert result["bytes"] == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    texts = [path.read_text() for path in tmp_path.rglob("*.txt")]
    assert texts == [f"{TEXT}\n"]


def test_an_address_that_ran_out_is_asked_for_again_once() -> None:
    place, into = media.download("SM" + "1" * 32, "ME" + "1" * 32), io.BytesIO()
    refused = ApiError("answered 403", status=403, verdict="retry", errors=[])
    flow = fetched(place, into)
    assert advance(flow) is place
    assert advance(flow, Elsewhere("https://a.example")) == Download("https://a.example", into)
    assert advance(flow, error=refused) is place
    assert advance(flow, Elsewhere("https://b.example")) == Download("https://b.example", into)
    with pytest.raises(ApiError):
        advance(flow, error=refused)


def test_a_file_that_cannot_be_had_leaves_nothing_and_may_be_tried_again(
    emulator: Running, tmp_path: Path
) -> None:
    sid = sent()
    emulator.twilio.faults.add(Fault(kind="cut", path="^/storage", times=None))
    with pytest.raises(TransportFailed) as caught:
        TwilioDownloadMediaOperator(task_id="get", sids=sid, output_path=str(tmp_path)).execute(context())
    assert "Signature" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_both_runners_read_a_file_and_neither_calls_a_refusal_final(emulator: Running) -> None:
    hook, wrong = TwilioHook(), f"{emulator.url}/storage/media/AC1/SM1/ME1?Expires=1&Signature=x"
    for run in (hook.run, lambda flow: asyncio.run(hook.arun(flow))):
        with pytest.raises(ApiError, match="answered 403, not the file") as caught:
            run(saved(wrong, io.BytesIO(b"what was there")))
        assert caught.value.verdict == "retry"
        into = io.BytesIO(b"what was there before, which is longer" * 100)
        page = f"{emulator.url}/_emulator/health"
        assert run(saved(page, into)) == len(into.getvalue())
        assert into.getvalue().startswith(b'{"ok":true')


def test_only_the_files_that_are_named(emulator: Running, tmp_path: Path) -> None:
    sid = sent()
    listed = TwilioDownloadMediaOperator(task_id="get", sids=sid, output_path=str(tmp_path)).execute(
        context()
    )
    first = listed["files"][0].partition("/")[2].partition(".")[0]
    delete = TwilioDeleteMediaOperator(task_id="delete", sids=[sid], media_sids=first)
    assert delete.execute(context()) == {"deleted": 1}
    assert delete.execute(context()) == {"deleted": 0}
    assert TwilioDeleteMediaOperator(task_id="delete", sids=[sid]).execute(context()) == {"deleted": 1}


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("output_path", {"output_path": "/dev/null/media"}),
        ("sids", {"sids": ADA}),
        ("media_sids", {"media_sids": "ME1"}),
        ("20404", {"sids": "SM" + "0" * 32}),
    ],
)
def test_bad_input_is_refused_with_the_field_named(
    emulator: Running, tmp_path: Path, field: str, given: dict[str, Any]
) -> None:
    values = {"sids": sent(), "output_path": str(tmp_path), **given}
    with pytest.raises(AirflowFailException, match=field):
        TwilioDownloadMediaOperator(task_id="get", **values).execute(context())
