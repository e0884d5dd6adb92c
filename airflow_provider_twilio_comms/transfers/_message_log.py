"""Base of the transfers from Twilio's lists by date: copy the rows of an interval, each of them once."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_twilio_comms._tasks.arguments import one_of, seconds
from airflow_provider_twilio_comms._tasks.openlineage import announced, dataset_of_file, lineage
from airflow_provider_twilio_comms._tasks.operator import TwilioRedacted, failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_twilio_comms._core.reporting.message_log import Interval, Source
    from airflow_provider_twilio_comms._tasks.reading import LogReading
    from airflow_provider_twilio_comms._tasks.task_state import Step

# Twilio's lists lag, by a time that it does not state. The triggers reckon with ten minutes.
LOOKBACK = timedelta(minutes=15)


class TwilioLogOperator(TwilioRedacted):
    """Base of the operators that copy a list by date.

    Twilio's lists lag: the last messages of an interval may not be in the list yet when the interval is
    copied. The copy of a later interval brings them, as far as its ``lookback`` reaches, so intervals that
    follow one another miss nothing if the look-back is longer than the lag.

    :param interval_start: from when, included: a datetime, a date or ISO 8601 (a template)
    :param interval_end: until when, not included (a template)
    :param lookback: seconds, or a timedelta: rows that lie so long before the interval are read again, since
        they may be new in the list or changed
    """

    template_fields: Sequence[str] = (*TwilioRedacted.template_fields, "interval_start", "interval_end")

    def __init__(
        self,
        *,
        interval_start: datetime | str = "{{ data_interval_start }}",
        interval_end: datetime | str = "{{ data_interval_end }}",
        lookback: timedelta | float = LOOKBACK,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.interval_start = interval_start
        self.interval_end = interval_end
        self.lookback: timedelta = timedelta(seconds=seconds(lookback))

    @abstractmethod
    def source(self) -> Source[Any]:
        """The list, and how it becomes rows."""

    def _interval(self, source: Source[Any]) -> Interval:
        from airflow_provider_twilio_comms._core.reporting.message_log import Interval

        interval, now = Interval.of(self.interval_start, self.interval_end), datetime.now(timezone.utc)
        source.check(interval, now)
        if interval.end > now:
            self.log.warning("The interval is not over: what comes after now is not there yet")
        elif self.lookback < LOOKBACK and now - interval.end < LOOKBACK:
            self.log.warning(
                "The interval ended %.0f seconds ago, and Twilio's list may lack its last rows. Copies of "
                "later intervals do not bring them, as lookback is %.0f seconds: leave it at %.0f or more",
                (now - interval.end).total_seconds(),
                self.lookback.total_seconds(),
                LOOKBACK.total_seconds(),
            )
        return interval

    def _window(self, interval: Interval) -> Interval:
        """The interval and the time before it within the look-back, as far as Twilio keeps messages."""
        from airflow_provider_twilio_comms._core.reporting.message_log import KEPT
        from airflow_provider_twilio_comms._core.reporting.message_log import Interval as Kept

        window, oldest = interval.from_before(self.lookback), datetime.now(timezone.utc) - KEPT
        return Kept(min(interval.start, max(window.start, oldest.replace(microsecond=0))), interval.end)

    @contextmanager
    def _reading(self, source: Source[Any], context: Context) -> Iterator[LogReading[Any]]:
        from airflow_provider_twilio_comms._tasks.reading import LogReading, reading
        from airflow_provider_twilio_comms._tasks.task_state import Progress

        with reading(self.hook, 2) as read:
            yield LogReading(source, read, Progress(context))

    def _told(self, context: Context, interval: Interval, step: Step, **place: Any) -> dict[str, Any]:
        result = {
            "interval_start": interval.start.isoformat(),
            "interval_end": interval.end.isoformat(),
            "rows": step.rows,
            "counts": step.statuses,
            **place,
        }
        self.log.info("Copied %s rows of %s", f"{step.rows:,}", interval.name)
        announced(context, self.outlets, result)
        self._rows = step.rows
        return result

    _rows: int | None = None

    @abstractmethod
    def lineage_output(self) -> tuple[str, str]:
        """Name the data set that is written, as OpenLineage does."""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """From the account's list to where its rows went."""
        inputs = [(f"twilio://{self.hook.config.account_sid}", self.listed)]
        return lineage(inputs, [self.lineage_output()], self._rows)

    listed: ClassVar[str] = "messages"


class TwilioLogToObjectStorageOperator(TwilioLogOperator):
    """Base of the operators that copy a list by date to files, one for each interval.

    :param output_path: the folder, through ``ObjectStoragePath`` (a template)
    :param file_format: ``parquet`` or ``jsonl``
    """

    template_fields: Sequence[str] = (*TwilioLogOperator.template_fields, "output_path")

    def __init__(
        self, *, output_path: str, file_format: Literal["parquet", "jsonl"] = "parquet", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.file_format: Literal["parquet", "jsonl"] = one_of("file_format", file_format, "parquet", "jsonl")

    def lineage_output(self) -> tuple[str, str]:
        return dataset_of_file(self.output_path)

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow.sdk import ObjectStoragePath

        with failing_fast():
            source = self.source()
            interval, folder = self._interval(source), ObjectStoragePath(self.output_path.strip())
            earlier = self._earlier(folder, interval, source)
            with self._reading(source, context) as log:
                # Earlier files first: the one of this interval is there once all is done.
                for each in earlier:
                    self._file(log, source, folder, each, context)
                step = self._file(log, source, folder, interval, context)
            for each in (*earlier, interval):
                log.progress.forget(each.name)
        path = str(folder / self._name(interval))
        return self._told(context, interval, step, output_path=path, refreshed=len(earlier))

    def _name(self, interval: Interval) -> str:
        return f"{self.listed}_{interval.name}.{self.file_format}"

    def _earlier(self, folder: ObjectStoragePath, interval: Interval, source: Source[Any]) -> list[Interval]:
        """The intervals that have a file, and lie within the look-back.

        Raises :class:`InvalidInput` where a file has some of this interval's rows, and others.
        """
        from airflow_provider_twilio_comms._core.reporting.message_log import Interval as Known

        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        ours = [name for name in names if name.startswith(f"{self.listed}_")]
        known = {Known.named(name.removeprefix(f"{self.listed}_").partition(".")[0]) for name in ours}
        there = sorted(each for each in known if each is not None and each != interval)
        for each in there:
            if each.overlaps(interval):
                raise InvalidInput.at(
                    "output_path",
                    f"{self._name(each)} there has rows of this interval, which would be in two files",
                    "Take it away, or keep to its intervals",
                )
        window = interval.from_before(self.lookback)
        found = [each for each in there if each.end <= interval.start and window.overlaps(each)]
        return [each for each in found if _possible(source, each)]

    def _file(
        self,
        log: LogReading[Any],
        source: Source[Any],
        folder: ObjectStoragePath,
        interval: Interval,
        context: Context,
    ) -> Step:
        """Copy an interval to its file, or go on with that.

        Pages go to a folder of their own until all are there; then the file is written, whole, and the first
        page is removed before the others: without it a later try knows that the file is there.
        """
        ti: Any = context["ti"]
        own = f"{ti.dag_id}|{ti.run_id}|{ti.task_id}|{ti.map_index}|{interval.name}"
        staging = folder / "_staging" / hashlib.sha256(own.encode()).hexdigest()[:16]
        made = folder / self._name(interval)
        before, there = log.progress.step(interval.name), _names(staging)
        whole = there >= {_part(page) for page in range(before.pages)}
        finished = before.done and _part(0) not in there and made.name in _names(folder)
        if not (whole or finished):  # somebody has cleaned up
            log.progress.forget(interval.name)
        step = log.copied(interval, interval.name, _staged(staging))
        there = _names(staging)
        if _part(0) in there:
            _joined(staging, step.pages, made, source.kind)
            staging.fs.rm_file((staging / _part(0)).path)
        if there:
            staging.fs.rm(staging.path, recursive=True)
        return step


def _names(folder: ObjectStoragePath) -> set[str]:
    """Names in a folder; an earlier try was another process, so nothing that is remembered of it counts."""
    folder.fs.invalidate_cache()
    try:
        return {str(name).rpartition("/")[2] for name in folder.fs.ls(folder.path, detail=False)}
    except FileNotFoundError:
        return set()


def _possible(source: Source[Any], interval: Interval) -> bool:
    """True if Twilio still has all of it."""
    try:
        source.check(interval, datetime.now(timezone.utc))
    except InvalidInput:
        return False
    return True


def _part(page: int) -> str:
    return f"{page:06}.jsonl"


def _staged(staging: ObjectStoragePath) -> Callable[[Sequence[Any], int], None]:
    import msgspec

    from airflow_provider_twilio_comms._tasks.object_storage import write_whole

    encoder = msgspec.json.Encoder()

    def stage(rows: Sequence[Any], page: int) -> None:
        with write_whole(staging / _part(page)) as file:
            file.write(encoder.encode_lines(rows))

    return stage


def _joined(staging: ObjectStoragePath, pages: int, made: ObjectStoragePath, kind: type[Any]) -> None:
    """Write all pages to one file."""
    import msgspec

    from airflow_provider_twilio_comms._tasks.table_files import Table, write_tables

    decoder = msgspec.json.Decoder(kind)
    with write_tables(str(made)) as write:
        write(Table.of((), kind=kind))
        for page in range(pages):
            with (staging / _part(page)).open("rb") as file:
                write(Table.of(decoder.decode_lines(file.read()), kind=kind))
