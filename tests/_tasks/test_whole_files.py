"""Nothing destroyed: a file is replaced once the new one is whole, and a kill leaves one of them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.recipients.reader import Reject
from airflow_provider_twilio_comms._core.reporting.receipts import Receipt
from airflow_provider_twilio_comms._tasks.object_storage import folder, opened_rejects, write_whole
from airflow_provider_twilio_comms._tasks.table_files import Table, write_tables
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError
from airflow_provider_twilio_comms.operators.prices import TwilioMessagingPricesOperator
from tests.conftest import environment
from tests.fakes import context
from tests.object_store import BUCKET, ObjectStore, attached, filesystem
from tests.operators.bulk_sends import bulk, people
from tests.operators.killed_worker import FileStore
from tests.transfers.logged import bounds, day, log

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

_spawn = multiprocessing.get_context("forkserver")
_spawn.set_forkserver_preload(
    [
        "tests.conftest",  # first, since it sets up Airflow
        "airflow_provider_twilio_comms.operators.receipts",
        "airflow_provider_twilio_comms._tasks.receipts_output",
        "airflow_provider_twilio_comms.transfers.messages_to_object_storage",
        "airflow_provider_twilio_comms.hooks.twilio",
        "airflow_provider_twilio_comms.client.sync",
        "tests.operators.killed_worker",
        "tests.object_store",
        "requests",
        "s3fs",
    ]
)

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}  # Python's names; os.replace is a rename


def attempt(
    kind: str, given: dict[str, Any], connection: str, notes: str, url: str, root: str, step: int
) -> None:
    """A try of a task in a process of its own, which is killed before it takes a step below ``root``."""
    from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
    from airflow_provider_twilio_comms.transfers.messages_to_object_storage import (
        TwilioMessagesToObjectStorageOperator,
    )

    taken = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal taken
        if event not in STEPS or not str(args[0]).startswith(root):
            return
        if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        taken += 1
        if taken == step:
            os.kill(os.getpid(), signal.SIGKILL)

    if url:
        attached(url)
    task: Any = {"receipts": TwilioReceiptsOperator, "log": TwilioMessagesToObjectStorageOperator}[kind]
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=connection):
        if step:
            sys.addaudithook(hook)
        task(task_id="task", **given).execute(context(FileStore(Path(notes))))


class Place:
    """A folder on a disk or in an object store."""

    def __init__(self, path: str, fs: Any) -> None:
        self.path, self.fs = path, fs
        self._bare = path.replace("s3://aws@", "")

    def content(self, name: str) -> bytes | None:
        self.fs.invalidate_cache()
        found: bytes | None = (
            self.fs.cat_file(f"{self._bare}/{name}") if self.fs.exists(f"{self._bare}/{name}") else None
        )
        return found

    def put(self, name: str, content: bytes) -> None:
        self.fs.pipe_file(f"{self._bare}/{name}", content)

    def names(self) -> set[str]:
        """Everything below, but what a killed writer may leave for a day under a hidden name."""
        self.fs.invalidate_cache()
        found = {str(name).removeprefix(f"{self._bare}/") for name in self.fs.find(self._bare)}
        return {name for name in found if not name.rpartition("/")[2].startswith(".twilio-")}


class World:
    """A task that was run once, and would write something else now; a ``victim`` runs it again."""

    def __init__(self, emulator: Running, store: ObjectStore | None, place: Place, tmp_path: Path) -> None:
        self.emulator, self.store, self.place, self.tmp = emulator, store, place, tmp_path
        self.kind, self.given, self.name = "", {}, ""  # type: str, dict[str, Any], str

    def receipts(self) -> None:
        self.emulator.twilio.change(pace=0.0, receipts_lag=3600.0)
        sent = bulk(people(1500)).execute(context())
        assert sent
        self.kind, self.name = "receipts", "receipts.jsonl"
        self.given = {"operation_ids": sent["operation_ids"], "output_path": f"{self.place.path}/{self.name}"}
        self.run()
        self.emulator.twilio.clock.advance(3700)

    def log(self) -> None:
        log(self.emulator, *(day(3, n / 100) for n in range(1500)), outcome=Outcome("SENT"))
        self.kind = "log"
        self.name = f"messages_{day(3):%Y%m%d}T000000Z_{day(2):%Y%m%d}T000000Z.jsonl"
        self.given = {"output_path": self.place.path, "file_format": "jsonl", **bounds(3)}
        self.run()
        for message in self.emulator.twilio.part(Messages).by_sid.values():
            message.outcome = Outcome("DELIVERED")

    def _arguments(self, step: int) -> tuple[Any, ...]:
        root, url = ("", self.store.url) if self.store else (self.place.path, "")
        return self.kind, self.given, self.emulator.connection, str(self.tmp / "notes"), url, root, step

    def run(self) -> None:
        """A try that is left alone."""
        if self.store:
            self.store.expect()
        attempt(*self._arguments(0))

    def victim(self, step: int = 0) -> int | None:
        """A try that may be killed; returns its exit code."""
        victim = _spawn.Process(target=attempt, args=self._arguments(step))
        victim.start()
        assert victim.pid
        if self.store:
            self.store.name_victim(victim.pid)
        victim.join(120)
        return victim.exitcode


@pytest.fixture(params=["disk", "object store"])
def world(request: pytest.FixtureRequest, emulator: Running, tmp_path: Path) -> World:
    if request.param == "disk":
        from fsspec.implementations.local import LocalFileSystem

        (tmp_path / "out").mkdir()
        return World(emulator, None, Place(str(tmp_path / "out"), LocalFileSystem()), tmp_path)
    store: ObjectStore = request.getfixturevalue("object_store")
    store.expect()
    return World(
        emulator, store, Place(f"s3://aws@{BUCKET}/{uuid.uuid4().hex}", filesystem(store.url)), tmp_path
    )


def kills(world: World) -> Iterator[int | None]:
    """Exit codes of tries, each killed a step later, until one lives."""
    if world.store:
        for number in range(1, 50):
            codes = []
            for moment in ("before", "after"):
                world.store.expect((number, moment))  # type: ignore[arg-type]
                codes.append(world.victim())
                yield codes[-1]
            if codes[-1] == 0:
                return
    else:
        for step in range(1, 50):
            code = world.victim(step)
            yield code
            if code == 0:
                return


@pytest.mark.parametrize("kind", ["receipts", "log"])
def test_a_kill_at_any_step_leaves_the_file_or_its_successor_whole(world: World, kind: str) -> None:
    getattr(world, kind)()
    old = world.place.content(world.name)
    assert old
    codes, seen = [], []
    for code in kills(world):
        codes.append(code)
        found = world.place.content(world.name)
        world.run()  # the next try
        new = world.place.content(world.name)
        assert new
        assert new != old
        assert len(new.splitlines()) == 1500
        assert found in (old, new)
        seen.append(found == new)
        assert world.place.names() == {world.name}
        world.place.put(world.name, old)
        (world.tmp / "notes").unlink(missing_ok=True)
    assert codes[-1] == 0
    assert set(codes[:-2]) == {-signal.SIGKILL}
    assert seen == sorted(seen)  # from a step on it is the new one
    assert {True, False} == set(seen)
    print(f"{kind}: {len(codes)} tries")


def path_of(store: ObjectStore, name: str = "file.jsonl") -> ObjectStoragePath:
    store.expect()
    attached(store.url)
    return ObjectStoragePath(f"s3://aws@{BUCKET}/{uuid.uuid4().hex}/{name}")


@pytest.fixture(params=["disk", "object store"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStoragePath:
    if request.param == "disk":
        return ObjectStoragePath(str(tmp_path / "file.jsonl"))
    return path_of(request.getfixturevalue("object_store"))


ROW = Receipt("comms_operation_1", "comms_message_1", None, None, None, "SENT")


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_file_that_breaks_off_leaves_the_one_before(target: ObjectStoragePath, ending: str) -> None:
    place = target.with_suffix(ending)
    with write_whole(place) as file:
        file.write(b"before")

    def broken() -> None:
        with write_tables(str(place)) as write:
            for _ in range(3):
                write(Table.of([ROW] * 50_000))
            raise RuntimeError("broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        broken()
    assert place.read_bytes() == b"before"
    assert [found.name for found in place.parent.iterdir()] == [place.name]


def test_nothing_reaches_an_object_store_before_all_is_there(object_store: ObjectStore) -> None:
    place = path_of(object_store)
    with write_whole(place) as file:
        file.write(b"x" * 6_000_000)
        assert object_store.writes == []
    assert place.stat().st_size == 6_000_000


def test_a_worker_that_is_killed_leaves_nobodys_data_in_its_temporary_files(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    place = path_of(object_store)
    with environment(TMPDIR=str(tmp_path)):
        import tempfile

        tempfile.tempdir = None
        with write_whole(place) as file:
            file.write(b"+12025550123" * 1_000_000)
            file.flush()
            assert list(tmp_path.iterdir()) == []
    tempfile.tempdir = None


def test_an_upload_that_fails_says_that_the_file_before_is_there(object_store: ObjectStore) -> None:
    place = path_of(object_store)
    with write_whole(place) as file:
        file.write(b"before")
    object_store.refuses = True
    try:
        with pytest.raises(TwilioError, match="still there, whole"), write_whole(place) as file:
            file.write(b"after")
    finally:
        object_store.refuses = False
    assert place.read_bytes() == b"before"
    nowhere = ObjectStoragePath("s3://aws@no-such-bucket/file.jsonl")
    with pytest.raises(InvalidInput, match="output_path"), write_whole(nowhere) as file:
        file.write(b"after")


def test_a_local_file_keeps_its_permissions_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    with write_whole(ObjectStoragePath(str(link))) as file:
        file.write(b"after")
    assert link.is_symlink()
    assert real.read_text() == "after"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    with write_whole(ObjectStoragePath("/dev/null")) as file:
        file.write(b"anything")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(InvalidInput, match="as it was"), write_whole(ObjectStoragePath(str(tmp_path))):
        pass


def test_what_a_killed_writer_left_is_removed_a_day_later(tmp_path: Path) -> None:
    young, old = tmp_path / ".twilio-1.part", tmp_path / ".twilio-2.part"
    for left in (young, old):
        left.write_text("half a")
    os.utime(old, (time.time() - 90_000,) * 2)
    with write_whole(ObjectStoragePath(str(tmp_path / "file"))):
        pass
    assert {found.name for found in tmp_path.iterdir()} == {"file", young.name}


def test_a_list_that_cannot_be_read_leaves_the_file_of_an_earlier_run(
    emulator: Running, target: ObjectStoragePath
) -> None:
    task = TwilioMessagingPricesOperator(task_id="prices", countries=["US"], output_path=str(target))
    count = task.execute(context())["count"]
    before = target.read_bytes()
    assert len(before.splitlines()) == count
    bad = TwilioMessagingPricesOperator(task_id="prices", countries=["US", "XX"], output_path=str(target))
    with pytest.raises((TwilioError, AirflowFailException)):
        bad.execute(context())
    assert target.read_bytes() == before


REJECT = Reject(2, "recipient", "not a number", "x")


def test_rejects_are_there_although_the_plan_failed(target: ObjectStoragePath) -> None:
    def plan(*rejects: Reject) -> None:
        with opened_rejects(str(target)) as reject:
            for each in rejects:
                reject(each)
            raise InvalidInput.at("recipients", "one of them is invalid", "Fix it")

    with pytest.raises(InvalidInput, match="Fix it"):
        plan(REJECT, REJECT)
    lines = target.read_bytes().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [2, 2]
    with pytest.raises(InvalidInput, match="Fix it"):
        plan()  # it never came to a row
    assert target.read_bytes().splitlines() == lines
    with opened_rejects(str(target)):
        pass
    assert target.read_bytes() == b""


def test_rejects_of_a_killed_task_leave_those_before(target: ObjectStoragePath) -> None:
    with opened_rejects(str(target)) as reject:
        reject(REJECT)
    before = target.read_bytes()

    def stopped() -> None:
        with opened_rejects(str(target)) as reject:
            reject(REJECT)
            raise SystemExit

    with pytest.raises(SystemExit):
        stopped()
    assert target.read_bytes() == before


def test_a_bulk_send_that_refuses_its_recipients_writes_the_rejects(
    emulator: Running, target: ObjectStoragePath
) -> None:
    task = bulk([*people(3), "nobody"], rejects_path=str(target))
    with pytest.raises(AirflowFailException, match="rejects_path"):
        task.execute(context())
    (line,) = target.read_bytes().splitlines()
    assert json.loads(line)["field"]


def test_a_snapshots_files_are_written_whole(target: ObjectStoragePath) -> None:
    place = folder(str(target.parent), "snapshot") / "manifest.json"
    assert not place.exists()
    place.write_bytes(b"{}")
    assert place.exists()
    assert place.read_bytes() == b"{}"
