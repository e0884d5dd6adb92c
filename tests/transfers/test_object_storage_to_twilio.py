"""From files to people: every kind, compressed or not, one or many, in an order that does not change."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator
from tests.fakes import MemoryStore, context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running


def send(path: Any, **kwargs: Any) -> Any:
    operator = ObjectStorageToTwilioOperator(
        task_id="send",
        path=str(path),
        content="Hello {{ name }}",
        sender="+15005550006",
        wait_for="accepted",
        **{"number_column": "phone", **kwargs},
    )
    return operator.execute(context(MemoryStore()))


def received(emulator: Running) -> list[str]:
    return list(emulator.twilio.ledger.to_dict()["recipients"])


def rows(*lasts: int) -> list[dict[str, str]]:
    return [{"phone": f"+1202555{last:04d}", "name": f"Person {last}"} for last in lasts]


def zstd(data: bytes) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}


def write(path: Any, given: list[dict[str, str]]) -> None:
    name = path.name
    if name.endswith(".parquet"):
        import pyarrow as pa
        from pyarrow import parquet

        sink = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(given), sink)
        path.write_bytes(sink.getvalue())
        return
    if ".csv" in name:
        text = "phone,name\n" + "".join(f"{row['phone']},{row['name']}\n" for row in given)
    else:
        text = "".join(json.dumps(row) + "\n" for row in given)
    data = text.encode()
    packed = PACKED.get(path.suffix)
    path.write_bytes(packed(data) if packed else data)


@pytest.mark.parametrize(
    "name",
    ["p.csv", "p.jsonl", "p.ndjson", "p.parquet"]
    + [f"p{kind}{packed}" for kind in (".csv", ".jsonl") for packed in PACKED],
)
def test_one_file_of_any_kind(emulator: Running, tmp_path: Path, name: str) -> None:
    write(tmp_path / name, rows(1, 2, 3))
    assert send(tmp_path / name)["recipients"] == 3
    assert received(emulator) == ["+12025550001", "+12025550002", "+12025550003"]


@pytest.mark.parametrize("attached", [False, True], ids=["by its path", "elsewhere"])
def test_all_files_of_a_folder_in_the_order_of_their_names(
    emulator: Running, tmp_path: Path, attached: bool
) -> None:
    base = ObjectStoragePath(f"file://{tmp_path}")
    if attached:
        from airflow.sdk.io import attach
        from fsspec.implementations.memory import MemoryFileSystem

        attach("memory", fs=MemoryFileSystem())
        base = ObjectStoragePath(f"memory://{tmp_path.name}")
    folder = base / "out"
    (folder / "sub").mkdir(parents=True)
    write(folder / "part-2.csv", rows(5))
    write(folder / "part-1.jsonl.gz", rows(3, 4))
    write(folder / "sub" / "part-0.parquet", rows(9))
    (folder / "_SUCCESS").write_bytes(b"")
    (folder / ".part-1.crc").write_bytes(b"x")
    assert send(folder)["recipients"] == 4
    assert received(emulator) == [f"+1202555000{last}" for last in (3, 4, 5, 9)]
    assert send(f"{folder}/part-", send_key="prefix")["recipients"] == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [("none", "path: there is no such file, and none below it"), ("a.xlsx", "kind (.xlsx) is not known")],
)
def test_what_cannot_be_read(emulator: Running, tmp_path: Path, name: str, said: str) -> None:
    if "." in name:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(AirflowFailException) as caught:
        send(tmp_path / name)
    assert said in str(caught.value)


def test_every_file_needs_the_column(emulator: Running, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows(1))
    (tmp_path / "b.csv").write_text("tel,name\n+12025550002,x\n")
    with pytest.raises(AirflowFailException, match="'phone' is not a column of the file"):
        send(tmp_path)
    assert received(emulator) == []


def test_a_broken_archive_sends_nothing(emulator: Running, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"phone,name\n" + b"+12025550001,x\n" * 5000)[:-20])
    with pytest.raises(AirflowFailException, match="cannot be read"):
        send(tmp_path)
    assert received(emulator) == []
