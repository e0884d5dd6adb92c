"""Recipients: check what an author gives and make Twilio's recipients of it, a batch at a time.

Three forms are taken: a number; a mapping in Twilio's own form (``address`` or ``addresses`` or
``profileId``, with ``variables``); a flat mapping such as a row, in which one column is the number and the
others are variables. What is in order already costs one look per batch; only a batch with something odd in
it is gone through one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec

from airflow_provider_twilio_comms._core.recipients.phone_numbers import all_e164, normalised
from airflow_provider_twilio_comms._core.recipients.sources import shown_columns
from airflow_provider_twilio_comms.api.audiences._assumed import COHORT_RECIPIENT, SNAPSHOT_RECIPIENT
from airflow_provider_twilio_comms.exceptions import scrub


def text_of(value: Any) -> str:
    """A value as one would write it in a text.

    Decimals without an exponent, dates and times as in ISO 8601, booleans as ``true`` and ``false``, what has
    parts (arrays, JSON columns) as JSON. Raises ``ValueError`` for bytes, which are no text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise ValueError("bytes are no text")
    if isinstance(value, (dict, list, tuple)):
        return msgspec.json.encode(value, enc_hook=text_of).decode()
    return str(value)


def texts_of(column: Sequence[Any]) -> Sequence[str | None]:
    """A column's values as texts; None stays None. One look at their kinds spares a look at each."""
    kinds = set(map(type, column))
    if kinds == {str}:
        return column
    if kinds == {int}:
        return list(map(str, column))
    return [None if value is None else text_of(value) for value in column]


BATCH = 200  # small enough to stay in the processor's cache
Channel = Literal["PHONE", "WHATSAPP"]


# Names of groups as recipients: ours, and Twilio's.
GROUP_KEYS = {
    "cohort_id": COHORT_RECIPIENT,
    "cohort_snapshot_id": SNAPSHOT_RECIPIENT,
    "audience_id": "audienceId",
}
_GROUP_NAMES: dict[str, str | None] = {**GROUP_KEYS, "variables": "variables"}


class Address(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A recipient with one address. Twilio: ``AddressRecipient``. Only texts: no cycles to collect."""

    address: str
    channel: Channel
    variables: dict[str, str] | None = None


class _Party(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    channel: Channel


class Connected(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A recipient with several addresses. Twilio: ``ConnectedAddressesRecipient``."""

    addresses: list[_Party]
    variables: dict[str, str] | None = None


class Profile(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """A recipient whose addresses Twilio holds. Twilio: ``ProfileRecipient``."""

    profile_id: str
    memory_store_id: str
    variables: dict[str, str] | None = None


class Members(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename=_GROUP_NAMES.get):
    """The profiles of a cohort or of a snapshot of one, as one recipient; exactly one id is given."""

    cohort_id: str | None = None
    cohort_snapshot_id: str | None = None
    audience_id: str | None = None  # the name of a cohort before autumn 2026
    variables: dict[str, str] | None = None

    @property
    def name(self) -> str:
        return self.cohort_snapshot_id or self.cohort_id or self.audience_id or ""


class Reject(NamedTuple):
    """A recipient that is left out. ``given`` is personal: for ``rejects_path``, and nowhere else.

    ``reason`` is ``invalid``, or what the author asked to leave out: ``duplicate``, ``suppressed`` ...
    """

    row: int
    field: str
    problem: str
    given: Any
    reason: str = "invalid"


class Rows(list[tuple[Any, ...]]):
    """A batch of a table's rows, all with the same columns."""

    def __init__(self, names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        super().__init__(rows)
        self.names = names


class Batched:
    """Recipients that come in batches of at most ``BATCH`` already."""

    def __init__(self, given: Iterable[Sequence[Any]]) -> None:
        self._given = given

    def __iter__(self) -> Iterator[Any]:
        for batch in self._given:
            yield from batch

    def batches(self) -> Iterator[Sequence[Any]]:
        yield from self._given


class Read(NamedTuple):
    """A batch, read: who is in order, in which rows they stand, and who had to be left out."""

    recipients: Sequence[Any]
    rows: Sequence[int]
    rejects: Sequence[Reject]


@dataclass
class Reader:
    """Checks and encodes recipients.

    ``column`` is the number's column in flat mappings; ``allows`` says whether an address may be texted;
    ``needed`` are the template variables without a default, and ``lacking`` counts who lacks which, of the
    ``checked`` good ones.
    """

    column: str | None = None
    channel: Channel = "PHONE"
    region: str | None = None
    allows: Callable[[str], bool] | None = None
    needed: frozenset[str] = frozenset()
    lacking: dict[str, int] = field(default_factory=dict)
    checked: int = 0

    def read(self, batch: Sequence[Any], first_row: int) -> Read:
        """Check a batch whose first recipient stands in ``first_row``."""
        recipients = self._in_order(batch)
        if recipients is not None:
            return Read(recipients, range(first_row, first_row + len(recipients)), ())
        good: list[Any] = []
        rows: list[int] = []
        rejects: list[Reject] = []
        if isinstance(batch, Rows):
            batch = [dict(zip(batch.names, row, strict=True)) for row in batch]
        for row, given in enumerate(batch, first_row):
            read = self._one(given, row)
            if isinstance(read, Reject):
                rejects.append(read)
            else:
                good.append(read)
                rows.append(row)
        self._count_lacking(good)
        return Read(good, rows, rejects)

    def _in_order(self, batch: Sequence[Any]) -> list[Address] | None:
        """The batch, where nothing in it needs care; else None."""
        first = batch[0]
        try:
            if isinstance(batch, Rows):
                recipients = self._tabular(batch)
            elif type(first) is str:
                recipients = [Address(given, self.channel) for given in batch if type(given) is str]
            elif isinstance(first, dict) and self._stored(first):
                return None
            elif isinstance(first, dict) and _is_flat(first):
                column = self.column or _first_of(first)
                if not self._all_flat(batch, first.keys(), column):
                    return None
                rows = msgspec.convert(batch, list[dict[str, str]])  # new ones, so ours to take from
                recipients = [Address(row.pop(column), self.channel, row or None) for row in rows]
            else:
                recipients = msgspec.convert(batch, list[Address])
        except (msgspec.ValidationError, ValueError, KeyError, AttributeError):
            return None
        numbers = [recipient.address for recipient in recipients]
        if len(numbers) < len(batch) or not all_e164(numbers):
            return None
        if self.allows and not all(map(self.allows, numbers)):
            return None
        self._count_lacking(recipients)
        return recipients

    def _all_flat(self, batch: Sequence[Any], names: KeysView[str], column: str) -> bool:
        """Tell whether all rows are flat, and have their number in the same column as the first."""
        return all(
            row.keys() == names or (_is_flat(row) and (self.column or _first_of(row)) == column)
            for row in batch
        )

    def _stored(self, names: Container[str]) -> bool:
        """Tell whether rows name stored people: both columns, and no column of numbers was named."""
        return self.column is None and all(name in names for name in _STORED)

    def _tabular(self, batch: Rows) -> list[Address]:
        """Column by column, which is cheaper than row by row. Raises ``ValueError`` where a row is odd."""
        if self._stored(batch.names):
            raise ValueError("stored people have no number here")
        columns = list(zip(*batch, strict=True))
        number = batch.names.index(self.column or _first_of(batch.names))
        numbers = columns.pop(number)
        if set(map(type, numbers)) != {str}:
            raise ValueError("a number is not text")
        names = [*batch.names[:number], *batch.names[number + 1 :]]
        texts = [texts_of(column) for column in columns]
        if not texts:
            return [Address(given, self.channel) for given in numbers]
        variables: Iterable[dict[str, Any]] = (
            dict(zip(names, row, strict=True)) for row in zip(*texts, strict=True)
        )
        if any(None in column for column in texts):
            variables = ({name: text for name, text in row.items() if text is not None} for row in variables)
        return [
            Address(given, self.channel, row or None) for given, row in zip(numbers, variables, strict=True)
        ]

    def _one(self, given: Any, row: int) -> msgspec.Struct | Reject:
        name, problem = "", ""
        if self.column and isinstance(given, Mapping) and _is_flat(given) and self.column not in given:
            problem = f"there is no such column (there are {shown_columns([*map(str, given)])})"
            return Reject(row, self.column, problem, given)
        try:
            recipient, name = self._shaped(given)
            if isinstance(recipient, Address):
                recipient.address, problem = self._address(recipient.address)
            elif isinstance(recipient, Connected):
                for party in recipient.addresses:
                    party.address, problem = self._address(party.address)
                    if problem:
                        break
                if not 1 <= len(recipient.addresses) <= 10:
                    problem = f"has {len(recipient.addresses)} addresses, Twilio takes 1 to 10"
            elif isinstance(recipient, Profile | Members):
                problem = self._unseen(recipient)
        except ValueError as error:  # msgspec's too
            problem = f"has the wrong shape ({_without_values(str(error))})"
        return Reject(row, name or "recipient", problem, given) if problem else recipient

    def _unseen(self, recipient: Profile | Members) -> str:
        """The problem with a recipient whose numbers Twilio holds, if there is one."""
        if isinstance(recipient, Members):
            ids = (recipient.cohort_id, recipient.cohort_snapshot_id, recipient.audience_id)
            if sum(each is not None for each in ids) != 1:
                return "is not one group"
            name = recipient.name
        else:
            name = recipient.profile_id
            if not name.startswith("mem_profile_") or not recipient.memory_store_id.startswith("mem_"):
                return "is not a mem_profile_... of a mem_store_..."
        if self.allows is None or self.allows(name):
            return ""
        kind = "group" if isinstance(recipient, Members) else "profile"
        problem = f"is a {kind}, which hides its numbers: it is outside the connection's "
        return problem + "allowed_recipients, unless a pattern there names its id"

    def _shaped(self, given: Any) -> tuple[msgspec.Struct, str]:
        """The recipient, its number not yet read, and the field to name in an error."""
        if isinstance(given, Mapping):
            if self._stored(given):
                others = {name: value for name, value in given.items() if name not in _STORED}
                profile_id, store_id = (str(given[name] or "") for name in _STORED)
                return Profile(profile_id, store_id, _texts(others) or None), _STORED[0]
            for key, shape in _SHAPES:
                if key in given and not _is_flat(given):
                    own = {"channel": self.channel} if shape is Address else {}
                    values = {**own, **given, "variables": _texts(given.get("variables") or {}) or None}
                    if not isinstance(values.get("address", ""), str):
                        values["address"] = ""
                    return msgspec.convert(values, shape), key
            column = self.column or _first_of(given)
            variables = _texts({name: value for name, value in given.items() if name != column})
            return Address(given.get(column) or "", self.channel, variables or None), column
        return Address(given, self.channel), "recipient"

    def _address(self, given: Any) -> tuple[str, str]:
        number, problem = normalised(given, self.region)
        if not problem and self.allows and not self.allows(number):
            problem = "is outside the connection's allowed_recipients"
        return number, problem

    def _count_lacking(self, recipients: Sequence[Any]) -> None:
        self.checked += len(recipients)
        for name in self.needed:
            without = sum(name not in (recipient.variables or ()) for recipient in recipients)
            if without:
                self.lacking[name] = self.lacking.get(name, 0) + without


def _without_values(error: str) -> str:
    """An error of msgspec's without what it quotes: values, and names that may come from the data."""
    return scrub(re.sub(r"(?s)\b(value|field) .*?( - at `[^`]*`)?$", r"\1\2", error))


_STORED = ("profile_id", "memory_store_id")  # columns of rows that name stored people
_SHAPES: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("addresses", Connected),
    ("profileId", Profile),
    *((name, Members) for name in GROUP_KEYS.values()),
    ("address", Address),
)
_COLUMNS = ("phone", "to", "number", "phone_number", "mobile", "address")


def _is_flat(given: Mapping[str, Any]) -> bool:
    """Tell whether a mapping is a row, and not a recipient in Twilio's form."""
    if any(name in given for name, shape in _SHAPES if shape is not Address):
        return False
    return "address" not in given or not set(given) <= {"address", "channel", "variables"}


def _first_of(row: Mapping[str, Any] | Sequence[str]) -> str:
    return next((name for name in _COLUMNS if name in row), _COLUMNS[0])


def _texts(variables: Any) -> dict[str, str]:
    """Variables as text, which is all that Twilio takes; what is None is left out."""
    if not isinstance(variables, Mapping):
        raise msgspec.ValidationError("variables are a mapping of names to texts")
    return {
        str(name): value if isinstance(value, str) else text_of(value)
        for name, value in variables.items()
        if value is not None
    }


def batches(rows: Iterable[Any], size: int = BATCH) -> Iterator[Sequence[Any]]:
    """The rows, so many at a time."""
    if isinstance(rows, Batched):
        yield from rows.batches()
        return
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
