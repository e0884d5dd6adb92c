"""Lists as results: a few rows to XCom, many to a file, a page at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._tasks.table_files import Take
    from airflow_provider_twilio_comms.api.flows import Flow
    from airflow_provider_twilio_comms.api.wire import Call


class TwilioResourceOperator(TwilioOperator):
    """Base of the operators on one resource.

    :param sid: its SID (a template)
    """

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "sid")

    def __init__(self, *, sid: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sid = sid


class TwilioSettingsOperator(TwilioResourceOperator):
    """Base of the operators that change a resource; nothing is changed twice.

    :param settings: what it is to be (a template)
    """

    template_fields: Sequence[str] = (*TwilioResourceOperator.template_fields, "settings")

    def __init__(self, *, sid: str, settings: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(sid=sid, **kwargs)
        self.settings = settings

    @abstractmethod
    def calls(self) -> tuple[Callable[[str], Call[Any]], Callable[..., Call[Any]]]:
        """The call that reads the resource, and the one that changes it."""

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.settings import updated

        with failing_fast():
            return {
                "sid": self.sid,
                "changed": self.hook.run(updated(*self.calls(), self.sid, self.settings)),
            }


FEW = 100  # rows that XCom takes, unless the author says otherwise


class TwilioListOperator(TwilioOperator):
    """Base of the operators that list.

    Returns ``{"count", "rows"}``, or with ``output_path`` ``{"count", "output_path"}``.

    :param limit: read so many rows at most
    :param fields: keep these columns only
    :param output_path: write the rows to this file, through ``ObjectStoragePath``: JSON lines if its name
        ends in ``.jsonl`` or ``.ndjson``, Parquet if it ends in ``.parquet``; an earlier file stays until the
        new one is whole (a template)
    :param max_rows: more rows than this do not go to XCom: the task fails and asks for ``output_path``
    """

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "output_path")
    # Columns that go to a file, and to XCom only where ``fields`` names them.
    personal: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        limit: int | None = None,
        fields: Sequence[str] | None = None,
        output_path: str | None = None,
        max_rows: int = FEW,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.limit = limit
        self.fields = fields
        self.output_path = output_path
        self.max_rows = max_rows

    @abstractmethod
    def read(self, take: Take, limit: int | None) -> Flow[int]:
        """Read the list, and hand its rows to ``take``; returns how many there were."""

    def execute(self, context: Context) -> dict[str, Any]:
        with failing_fast():
            result = self._written(self.output_path) if self.output_path else self._kept()
        self.log.info("Read %s", pluralize(result["count"], "row"))
        return result

    def _written(self, path: str) -> dict[str, Any]:
        from airflow_provider_twilio_comms._tasks.table_files import Table, write_tables

        with write_tables(path) as write:
            count = self.hook.run(self.read(lambda rows: write(Table.of(rows, self.fields)), self.limit))
        return {"count": count, "output_path": path}

    def _kept(self) -> dict[str, Any]:
        from airflow_provider_twilio_comms._tasks.table_files import Table

        kept: list[Any] = []
        bound = self.max_rows + 1 if self.limit is None else min(self.limit, self.max_rows + 1)
        self.hook.run(self.read(kept.extend, bound))
        if len(kept) > self.max_rows:
            raise InvalidInput.at(
                "max_rows",
                f"there are more than {self.max_rows} rows",
                "Set output_path to write them to a file, or limit",
            )
        rows = Table.of(kept, self.fields, () if self.fields else self.personal).rows()
        return {"count": len(rows), "rows": rows}
