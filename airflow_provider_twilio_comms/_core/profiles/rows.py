"""Rows as profiles: map columns to traits, check values by the trait's type, and encode each row as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from airflow_provider_twilio_comms._core.recipients.phone_numbers import all_e164, normalised
from airflow_provider_twilio_comms._core.recipients.reader import Reject, Rows, text_of
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made
from airflow_provider_twilio_comms.api.memory import trait_groups
from airflow_provider_twilio_comms.api.memory.trait_groups import TraitGroup
from airflow_provider_twilio_comms.exceptions import InvalidInput

LONGEST_TEXT, LONGEST_ARRAY, LONGEST_IDENTIFIER = 1024, 100, 255
_PHONES = ("phone", "whatsapp")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Column(NamedTuple):
    """A column of the source, the trait that it becomes, its type, and its identifier type, if any."""

    name: str
    group: str
    trait: str
    data_type: str
    id_type: str | None


class Row(NamedTuple):
    """A row that is in order: its number, the identifier that names it, and ``{"traits": ...}`` as JSON."""

    number: int
    identity: str
    body: bytes


def parse_traits(traits: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Read a mapping of columns to ``Group.trait``. Raises :class:`InvalidInput`."""
    if not traits:
        raise InvalidInput.at("traits", "is empty", 'Map columns to traits: {"city": "Contact.city"}')
    found = []
    for column, path in traits.items():
        group, dot, trait = str(path).rpartition(".")
        if not (dot and group and trait):
            raise InvalidInput.at("traits", f"{path!r} is not a trait", 'Write it as "Contact.city"')
        found.append((column, group, trait))
    return found


def described(store_id: str, traits: Mapping[str, str]) -> Flow[list[Column]]:
    """Look the traits up in the store, so that what cannot be written is refused before anything is read."""
    named = parse_traits(traits)
    groups = {}
    for name in dict.fromkeys(group for _, group, _ in named):
        groups[name] = yield from trait_group(store_id, name)
    columns = []
    for column, group, trait in named:
        definition = groups[group].traits.get(trait)
        if definition is None:
            known = ", ".join(sorted(groups[group].traits)) or "none"
            raise InvalidInput.at("traits", f"there is no trait {trait} in {group}", f"It has {known}")
        columns.append(Column(column, group, trait, definition.data_type, definition.id_type_promotion))
    if not any(column.id_type for column in columns):
        raise InvalidInput.at(
            "traits",
            "none of the traits is an identifier, so Twilio could not tell whose they are",
            "Map a column to one that is, such as Contact.phone",
        )
    return columns


def trait_group(store_id: str, name: str) -> Flow[TraitGroup]:
    """Read a trait group. Raises :class:`InvalidInput` with those that there are if there is none."""
    listed = yield from every_item(trait_groups.list(store_id))
    known = [group.display_name for group in listed]
    if name not in known:
        raise InvalidInput.at(
            "traits", f"the store has no trait group {name}", f"It has {', '.join(sorted(known)) or 'none'}"
        )
    return (yield from made(trait_groups.fetch(store_id, name)))


@dataclass
class RowEncoder:
    """Checks and encodes rows. ``region`` is the country of phone numbers without a country code."""

    columns: Sequence[Column]
    region: str | None = None

    def __post_init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._layout: dict[str, list[tuple[str, int]]] = {}
        for index, column in enumerate(self.columns):
            self._layout.setdefault(column.group, []).append((column.trait, index))
        self._identifiers = [(index, each.id_type) for index, each in enumerate(self.columns) if each.id_type]

    def read(self, batch: Sequence[Any], first_row: int) -> Iterator[Row | Reject]:
        """Encode a batch of rows (mappings, or a table's) whose first stands in ``first_row``."""
        problems: dict[int, tuple[str, str]] = {}
        table = [self._converted(column, _values(batch, column.name), problems) for column in self.columns]
        layout = list(self._layout.items())
        for index in range(len(batch)):
            row = first_row + index
            if index in problems:
                name, problem = problems[index]
                yield Reject(row, name, problem, _given(batch, index))
                continue
            identity = next(
                (
                    f"{kind}:{table[at][index]}"
                    for at, kind in self._identifiers
                    if table[at][index] is not None
                ),
                None,
            )
            if identity is None:
                name = self.columns[self._identifiers[0][0]].name
                yield Reject(row, name, "has no identifier", _given(batch, index))
                continue
            traits = {}
            for group, members in layout:
                values = {name: value for name, at in members if (value := table[at][index]) is not None}
                if values:
                    traits[group] = values
            yield Row(row, identity, self._encode({"traits": traits}))

    def _converted(
        self, column: Column, values: Sequence[Any], problems: dict[int, tuple[str, str]]
    ) -> Sequence[Any]:
        """Convert a column's values to its trait's type; one look at a whole column spares most others."""
        fine = _FINE.get(column.data_type)
        if column.id_type in _PHONES:
            if set(map(type, values)) == {str} and all_e164(values):
                return values
        elif column.id_type is None and fine is not None and fine(values):
            return values
        converted: list[Any] = []
        for index, value in enumerate(values):
            try:
                converted.append(self._one(column, value))
            except ValueError as error:
                converted.append(None)
                problems.setdefault(index, (column.name, str(error)))
        return converted

    def _one(self, column: Column, value: Any) -> Any:
        if value is None or value == "":
            return None
        if column.id_type:
            return self._identifier(column.id_type, value)
        return _TYPED[column.data_type](value) if column.data_type in _TYPED else value

    def _identifier(self, id_type: str, value: Any) -> str:
        text = text_of(value).strip()
        if id_type in _PHONES:
            number, problem = normalised(text, self.region)
            if problem:
                raise ValueError(problem)
            return number
        if id_type == "email" and not _EMAIL.fullmatch(text):
            raise ValueError("is not an e-mail address")
        if not 1 <= len(text) <= LONGEST_IDENTIFIER:
            raise ValueError(f"is not 1 to {LONGEST_IDENTIFIER} characters")
        return text


def _values(batch: Sequence[Any], name: str) -> Sequence[Any]:
    if isinstance(batch, Rows):
        if name not in batch.names:
            raise InvalidInput.at("traits", f"{name!r} is not a column of the source", _NAME_COLUMNS)
        index = batch.names.index(name)
        return [row[index] for row in batch]
    if name not in batch[0]:
        raise InvalidInput.at("traits", f"{name!r} is not a column of the source", _NAME_COLUMNS)
    return [row.get(name) for row in batch]


_NAME_COLUMNS = "Name columns of the statement or file"


def _given(batch: Sequence[Any], index: int) -> Any:
    return dict(zip(batch.names, batch[index], strict=True)) if isinstance(batch, Rows) else batch[index]


def _string(value: Any) -> str:
    text = text_of(value)
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"is longer than {LONGEST_TEXT:,} characters")
    return text


def _number(value: Any) -> int | float:
    if isinstance(value, str):
        try:
            value = int(value) if re.fullmatch(r"[+-]?\d+", value.strip()) else float(value)
        except ValueError:
            raise ValueError("is not a number") from None
    if isinstance(value, Decimal):
        value = int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("is not a number")
    return value


def _boolean(value: Any) -> bool:
    known = {"true": True, "false": False, True: True, False: False}
    found = known.get(value.strip().lower() if isinstance(value, str) else value)
    if found is None:
        raise ValueError("is neither true nor false")
    return found


def _array(value: Any) -> list[Any]:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise ValueError("is not an array") from None
    if not isinstance(value, (list, tuple)):
        raise ValueError("is not an array")
    if len(value) > LONGEST_ARRAY:
        raise ValueError(f"has more than {LONGEST_ARRAY} items")
    return [each if isinstance(each, (bool, int, float)) else text_of(each) for each in value]


_TYPED: dict[str, Callable[[Any], Any]] = {
    "STRING": _string,
    "NUMBER": _number,
    "BOOLEAN": _boolean,
    "ARRAY": _array,
}
# Whether a whole column is in order as it is.
_FINE: dict[str, Callable[[Sequence[Any]], bool]] = {
    "STRING": lambda values: (
        set(map(type, values)) == {str} and "" not in values and max(map(len, values)) <= LONGEST_TEXT
    ),
    "NUMBER": lambda values: set(map(type, values)) == {int},
    "BOOLEAN": lambda values: set(map(type, values)) == {bool},
}
