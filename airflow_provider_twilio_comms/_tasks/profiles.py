"""Base of the operators that load rows into a memory store (reverse ETL), and the output of a snapshot."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from airflow_provider_twilio_comms._tasks.arguments import count_of, one_of
from airflow_provider_twilio_comms._tasks.operator import Hidden, TwilioOperator, failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.profiles.hashes import Pair
    from airflow_provider_twilio_comms._core.profiles.load import Counts
    from airflow_provider_twilio_comms._tasks.profile_hashes import HashStore

Batches = Iterable[tuple[Sequence[Any], dict[str, Any]]]
_NOTED = "twilio.profiles"


class TwilioProfilesOperator(TwilioOperator):
    """Base of the operators that load rows as profiles; a row that did not change is not sent again.

    :param store_id: the memory store (a template)
    :param traits: the traits that columns become: ``{"phone": "Contact.phone", "city": "Contact.city"}``. One
        of them at least has to be an identifier of the store (a template)
    :param hashes_path: a file in which hashes of the loaded rows are kept, so that the next run sends only
        those that changed; never their values (a template)
    :param hashes_conn_id: a connection to a database for the hashes, instead of a file (a template)
    :param hashes_table: the table there, which is made where there is none (a template)
    :param hash_secret: keys the hashes (a template); the connection's, if left out. Never shown
    :param method: ``bulk`` sends 1,000 rows a request; ``import`` sends CSV files of up to 100,000
    :param at_once: at most so many requests are under way together
    :param requests_per_second: at most so many requests a second; a 429 halves the pace for a while
    :param default_region: the country (``US``) of numbers written without a country code
    :param on_invalid: ``skip`` and count rows that are no profile, or ``fail`` at the first
    :param rejects_path: where rows that are left out are written as JSON lines with the reason (a template)
    :param timeout: seconds for one import
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "store_id",
        "traits",
        "hashes_path",
        "hashes_conn_id",
        "hashes_table",
        "hash_secret",
        "rejects_path",
    )

    def __init__(
        self,
        *,
        store_id: str,
        traits: Mapping[str, str],
        hashes_path: str | None = None,
        hashes_conn_id: str | None = None,
        hashes_table: str | None = None,
        hash_secret: str | None = None,
        method: str = "bulk",
        at_once: int = 4,
        requests_per_second: float | None = None,
        default_region: str | None = None,
        on_invalid: str = "skip",
        rejects_path: str | None = None,
        timeout: float = 3600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if bool(hashes_conn_id) != bool(hashes_table) or (hashes_path and hashes_table):
            raise InvalidInput.at(
                "hashes_path", "is not the one place", "Give hashes_path, or hashes_conn_id and hashes_table"
            )
        self.store_id = store_id
        self.traits = traits
        self.hashes_path = hashes_path
        self.hashes_conn_id = hashes_conn_id
        self.hashes_table = hashes_table
        self.hash_secret: Hidden[str | None] = self.hide(hash_secret)
        self.method: str = one_of("method", method, "bulk", "import")
        self.at_once: int = count_of("at_once", at_once, 50)
        self.requests_per_second = requests_per_second
        self.default_region = default_region
        self.on_invalid: Literal["skip", "fail"] = one_of("on_invalid", on_invalid, "skip", "fail")
        self.rejects_path = rejects_path
        self.timeout = timeout
        self._sent: int | None = None

    @abstractmethod
    def batches(self, position: Mapping[str, Any]) -> Batches:
        """Read the source from a position on: batches of rows, each with the position after it."""

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        """Name the data sets that are read, as OpenLineage does."""
        return ()

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.profiles.load import Counts, Loader
        from airflow_provider_twilio_comms._core.profiles.rows import described
        from airflow_provider_twilio_comms._tasks.object_storage import opened_rejects

        with failing_fast():
            columns = self.hook.run(described(self.store_id, self.traits))
            hashes, noted = self._hashes(), _Noted(context)
            position, before = noted.read(self._plan())
            if position:
                self.log.info("An earlier try loaded %d rows; this one goes on after them", before.rows)
            total = Counts()
            total.add(before)

            def note(pairs: list[Pair], counts: Counts, at: dict[str, Any]) -> None:
                self._note(hashes, noted, pairs, _plus(before, counts), at, total)

            with opened_rejects(self.rejects_path) as write:
                loader = Loader(
                    self.store_id,
                    columns,
                    self.batches(position),
                    self._hasher(),
                    hashes.load(),
                    self._rejecting(write),
                    note,
                    self.default_region,
                    self.at_once,
                    self.requests_per_second,
                    self.on_invalid == "fail",
                    open_file=TemporaryFile if self.method == "import" else None,
                    timeout=self.timeout,
                )
                self.hook.run(loader.run())
            hashes.finish()
            noted.forget()
        self._sent = total.sent
        result = {"store_id": self.store_id, **msgspec.to_builtins(total)}
        self.log.info("Loaded into %s: %s", self.store_id, msgspec.to_builtins(total))
        return {**result, "import_ids": loader.import_ids} if self.method == "import" else result

    def _note(
        self,
        hashes: HashStore,
        noted: _Noted,
        pairs: list[Pair],
        counts: Counts,
        position: dict[str, Any],
        total: Counts,
    ) -> None:
        """Keep the hashes first: a position without them would send unchanged rows in the next run."""
        hashes.save(pairs)
        noted.write(self._plan(), position, counts)
        for name in counts.__struct_fields__:
            setattr(total, name, getattr(counts, name))
        self.log.info("%d rows read, %d sent, %d unchanged", counts.rows, counts.sent, counts.unchanged)

    def _rejecting(self, write: Callable[[Any], None]) -> Callable[[Any], None]:
        def reject(found: Any) -> None:
            write(found)
            if self.on_invalid == "fail":
                raise InvalidInput.at(
                    found.field, found.problem, "Correct it, or set on_invalid='skip'", row=found.row
                )

        return reject

    def _hashes(self) -> HashStore:
        from airflow_provider_twilio_comms._tasks.profile_hashes import FileHashes, NoHashes, TableHashes

        if self.hashes_path:
            return FileHashes(self.hashes_path)
        if self.hashes_conn_id and self.hashes_table:
            return TableHashes(self.hashes_conn_id, self.hashes_table)
        return NoHashes()

    def _hasher(self) -> Any:
        from airflow_provider_twilio_comms._core.privacy import derived
        from airflow_provider_twilio_comms._core.profiles.hashes import RowHasher

        config = self.hook.config
        key = self.hash_secret.value or config.hash_secret
        if not key and (self.hashes_path or self.hashes_table):
            self.log.info(
                "Rows are hashed with a key made of the connection's credential: after its rotation all are "
                "sent again; hash_secret in the connection keeps them"
            )
        return RowHasher(key or derived(config.secret), self.store_id)

    def _plan(self) -> str:
        """A hash of what is loaded where: a try of another plan begins anew."""
        from airflow_provider_twilio_comms._core.sending.ledger import send_id

        return send_id(msgspec.json.encode([self.store_id, dict(self.traits), self.method]).decode())

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """From the source to the store. None where the OpenLineage provider is not installed."""
        from airflow_provider_twilio_comms._tasks.openlineage import lineage

        output = (f"twilio://{self.hook.config.account_sid}", f"stores/{self.store_id}")
        return lineage(self.lineage_inputs(), [output], self._sent)


def _plus(before: Counts, counts: Counts) -> Counts:
    total = type(counts)()
    total.add(before)
    total.add(counts)
    return total


class _Noted:
    """The progress of a load, in the task's state: counts, and a position that names nobody."""

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")

    def read(self, plan: str) -> tuple[dict[str, Any], Counts]:
        """The position and counts of an earlier try; nothing if it was long ago, or had another plan."""
        from airflow_provider_twilio_comms._core.profiles.load import Counts
        from airflow_provider_twilio_comms._tasks.task_state import FRESH

        noted = self._store.get(_NOTED) if self._store is not None else None
        if not noted or noted["plan"] != plan or time.time() - noted["at"] > FRESH:
            return {}, Counts()
        return noted["position"], msgspec.convert(noted["counts"], Counts)

    def write(self, plan: str, position: dict[str, Any], counts: Counts) -> None:
        value = {"plan": plan, "at": time.time(), "position": position, "counts": msgspec.to_builtins(counts)}
        self._set(value if position else {})

    def forget(self) -> None:
        self._set({})

    def _set(self, value: dict[str, Any]) -> None:
        if self._store is not None:
            self._store.set(_NOTED, value)


class Member(msgspec.Struct):
    """A profile in a snapshot."""

    profile_id: str
    cohort_snapshot_id: str
