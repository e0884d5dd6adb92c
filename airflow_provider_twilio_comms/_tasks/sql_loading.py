"""Load rows into a table of any database that Airflow has a ``DbApiHook`` for, each of them once.

``DbApiHook.insert_rows`` is not used: it commits by itself, and logs rows that the database refuses, with all
their numbers.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_twilio_comms._core.recipients.reader import batches
from airflow_provider_twilio_comms.api._forms import bare
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError, scrub

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

VALUES = 2000  # of one statement: SQL Server takes 2,100, SQLite and PostgreSQL more
_TYPES = {
    str: "VARCHAR(4000)",
    int: "BIGINT",
    float: "DOUBLE PRECISION",
    bool: "BOOLEAN",
    Decimal: "NUMERIC(20, 6)",
    datetime: "TIMESTAMP WITH TIME ZONE",
    date: "DATE",
}


@contextmanager
def loading(
    conn_id: str, table: str, kind: type[msgspec.Struct], key: str, *, create: bool = False
) -> Iterator[Callable[[Sequence[msgspec.Struct]], None]]:
    """Open a table to write rows of ``kind`` to, some at a time: all of those are written, or none.

    A row replaces the one with the same ``key``, in one transaction, so that writing twice is writing once.
    Raises :class:`InvalidInput` for a connection or table that cannot be one, :class:`TwilioError` for
    errors of the database, without the rows.
    """
    table = table_name(table)
    hook = sql_hook(conn_id)
    writer = (_Copier if hook.conn_type == "postgres" else _Writer)(hook, table, kind, key)
    with _told(table):
        connection = hook.get_conn()
    try:
        with _told(table):
            if hook.supports_autocommit:
                hook.set_autocommit(connection, False)
            if create:
                connection.cursor().execute(created(table, kind, key))
                connection.commit()

        def write(rows: Sequence[msgspec.Struct]) -> None:
            try:
                writer.write(connection, rows)
            except Exception as error:
                raise _refused(connection, table, kind, error) from None

        yield write
    finally:
        connection.close()


_NAME = r'(?:[^\W\d](?:-?[\w$])*|"[^"\0]+"|`[^`\0]+`|\[[^\]\0]+\])'


def table_name(given: str) -> str:
    """A table's name as it may stand in a statement: parts with dots between, plain or quoted.

    Two hyphens would begin a comment, and take the rest of a DELETE with them. Raises :class:`InvalidInput`.
    """
    name = given.strip()
    if not re.fullmatch(rf"{_NAME}(?:\.{_NAME})*", name):
        raise InvalidInput.at(
            "table", "is not a name of a table", "Give table, or schema.table; quote other names as SQL does"
        )
    return name


def created(table: str, kind: type[msgspec.Struct], key: str) -> str:
    """The statement that makes the table, as PostgreSQL and SQLite take it."""
    columns = []
    for column in msgspec.structs.fields(kind):
        typed = _TYPES.get(_kind_of(column), _TYPES[str])
        sql = "VARCHAR(100) NOT NULL PRIMARY KEY" if column.name == key else typed
        columns.append(f"{column.name} {sql}")
    return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)})"


def _kind_of(column: msgspec.structs.FieldInfo) -> type:
    """The type of a column's values; ``object`` for what tables have no type for, and get as text."""
    return next((each for each in bare(column.type) if each in _TYPES), object)


class _Writer:
    """Deletes rows by key and inserts them, in one transaction."""

    def __init__(self, hook: DbApiHook, table: str, kind: type[msgspec.Struct], key: str) -> None:
        names = [column.name for column in msgspec.structs.fields(kind)]
        self._hook, self._mark = hook, hook.placeholder
        self._key, self._values = attrgetter(key), attrgetter(*names)
        self._step = VALUES // len(names)
        self._delete = f"DELETE FROM {table} WHERE {key}"
        self._insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES "
        self._row = self._marks(len(names))

    def write(self, connection: Any, rows: Sequence[msgspec.Struct]) -> None:
        cursor = connection.cursor()
        try:
            self._deleted(cursor, map(self._key, rows))
            self._inserted(connection, cursor, map(self._values, rows))
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        finally:
            cursor.close()

    def _deleted(self, cursor: Any, keys: Iterator[str]) -> None:
        for part in batches(keys, 900):
            cursor.execute(f"{self._delete} IN {self._marks(len(part))}", part)

    def _inserted(self, connection: Any, cursor: Any, rows: Iterator[tuple[Any, ...]]) -> None:
        for part in batches(rows, self._step):
            cells = [self._cell(cell, connection) for row in part for cell in row]
            cursor.execute(self._insert + ", ".join([self._row] * len(part)), cells)

    def _marks(self, count: int) -> str:
        return f"({', '.join([self._mark] * count)})"

    def _cell(self, cell: Any, connection: Any) -> Any:
        """A value for the driver; what is neither text nor a whole number as the hook writes it."""
        kind = type(cell)
        if kind is str or kind is int or cell is None:
            return cell
        return self._hook._serialize_cell(cell, connection)


class _Copier(_Writer):
    """The same for PostgreSQL, whose COPY takes a tenth of the time."""

    def __init__(self, hook: DbApiHook, table: str, kind: type[msgspec.Struct], key: str) -> None:
        super().__init__(hook, table, kind, key)
        self._kinds = [_kind_of(column) for column in msgspec.structs.fields(kind)]
        into = self._insert.removeprefix("INSERT INTO ").removesuffix("VALUES ")
        self._copy = f"COPY {into}FROM STDIN WITH (FORMAT csv, NULL 'null', ESCAPE E'\\\\')"

    def _deleted(self, cursor: Any, keys: Iterator[str]) -> None:
        cursor.execute(f"{self._delete} = ANY({self._mark})", [_array(keys)])

    def _inserted(self, connection: Any, cursor: Any, rows: Iterator[tuple[Any, ...]]) -> None:
        text = _csv_of(rows, self._kinds)
        if hasattr(cursor, "copy_expert"):  # psycopg2
            cursor.copy_expert(self._copy, io.StringIO(text))
            return
        with cursor.copy(self._copy) as copy:
            copy.write(text)


_LINES = msgspec.json.Encoder()
_ESCAPED = re.compile(r'\\(?:u00(..)|(["\\bfnrt]))')
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _csv_of(rows: Iterable[tuple[Any, ...]], kinds: Sequence[type]) -> str:
    """Write rows as COPY reads CSV whose escape is a backslash: JSON arrays, without their brackets.

    JSON is made in a fraction of the time of anything else, and differs in control characters only.
    """
    columns = map(_texts, zip(*rows, strict=True), kinds)
    lines = _LINES.encode_lines(zip(*columns, strict=True)).decode()
    text = lines[1:-2].replace("]\n[", "\n")
    return _ESCAPED.sub(_unescaped, text) if "\\" in text else text


def _unescaped(found: re.Match[str]) -> str:
    """A control character itself, of which PostgreSQL keeps no NUL; quotes and backslashes as they are."""
    code, letter = found.groups()
    if code is not None:
        return chr(int(code, 16)).strip("\0")
    return _CONTROLS.get(letter, found[0])


def _texts(column: Sequence[Any], kind: type) -> Sequence[Any]:
    """The values of a column; those that JSON would write otherwise than ``str`` does are texts then."""
    if kind in (str, int):
        return column
    if set(map(type, column)) <= {datetime, type(None)}:
        texts = msgspec.json.encode(column).replace(b"T", b" ").replace(b"Z", b"+00:00")
        return msgspec.json.decode(texts, type=list[Any])
    return [None if cell is None else str(cell) for cell in column]


def _array(keys: Iterable[str]) -> str:
    """Write keys as PostgreSQL's array literal; the drivers take as long for that as for the rows."""
    quoted = [key.replace("\\", "\\\\").replace('"', '\\"') for key in keys]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


def sql_hook(conn_id: str, field: str = "sql_conn_id") -> DbApiHook:
    """The hook of a connection to a database. Raises :class:`InvalidInput` that names the argument."""
    from airflow.sdk import BaseHook

    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError:
        fix = "Install apache-airflow-providers-common-sql and the database's own provider"
        raise InvalidInput.at(field, "there is no provider for SQL", fix) from None
    hook = BaseHook.get_hook(conn_id)
    if not isinstance(hook, DbApiHook):
        problem = f"{type(hook).__name__} is not a DbApiHook"
        raise InvalidInput.at(field, problem, "Name a connection to a database")
    return hook


_CODES = ("pgcode", "sqlstate", "sqlite_errorname", "errno")


@contextmanager
def _told(table: str) -> Iterator[None]:
    """Report errors of statements that carry no rows: the kind, the code and the first line of the text."""
    try:
        yield
    except TwilioError:
        raise
    except Exception as error:
        raise TwilioError(f"the database does not take rows for {table}: {describe(error)}") from None


def describe(error: Exception) -> str:
    """Say what a database said, without values: its error's kind, its code, and the first line."""
    return f"{_code_of(error)}: {_text_of(error)}"


def _refused(connection: Any, table: str, kind: type[msgspec.Struct], error: Exception) -> TwilioError:
    """The error of a statement that carried rows, without its text, which may hold any of their values.

    A database quotes values as it likes, and a trigger raises whatever text its author wrote. So a statement
    without rows is tried: if the table or the connection is the trouble it fails as well, and its text is
    shown. Else the columns that the error mentions are.
    """
    names = [column.name for column in msgspec.structs.fields(kind)]
    try:
        cursor = connection.cursor()
        try:
            cursor.execute(f"SELECT {', '.join(names)} FROM {table} WHERE 1 = 0")
            cursor.fetchall()
        finally:
            cursor.close()
            connection.rollback()
    except Exception as problem:
        reason = _text_of(problem)
    else:
        mentioned = [name for name in names if re.search(rf"\b{name}\b", str(error))]
        columns = f" (it mentions {', '.join(mentioned)})" if mentioned else ""
        reason = (
            f"it refused some of them{columns}; its own words may name people, so they are in its log alone"
        )
    return TwilioError(
        f"the database does not take rows for {table}: {_code_of(error)}: {reason}. These rows were not "
        "written, and those that they replace are as they were"
    )


def _code_of(error: Exception) -> str:
    """The kind of a database's error and its code, such as ``psycopg2.UniqueViolation 23505``."""
    codes = [value for name in _CODES if (value := getattr(error, name, None))]
    numbers = [value for value in error.args[:1] if isinstance(value, int)]  # as MySQL's drivers have it
    name = f"{type(error).__module__.split('.')[0]}.{type(error).__name__}"
    return " ".join([name, *map(str, (codes or numbers)[:1])])


def _text_of(error: Exception) -> str:
    """The first line, without what stands in quotes or brackets."""
    problem = re.sub(r"'[^']*'|\([^)]*\)|: \".*", "...", str(error).strip().split("\n")[0])
    return scrub(problem)[:200]
