"""State of the Memory API: stores, operations and imports, and how requests find them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.comms.ids import new_id
from airflow_provider_twilio_comms.emulator.http import Problem, Request, address, json_reply
from airflow_provider_twilio_comms.emulator.memory.people import People, Profile, TraitGroup
from airflow_provider_twilio_comms.emulator.memory.schema import ColumnMapping, Trait
from airflow_provider_twilio_comms.emulator.paging import position, token_of

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = [
    "Import",
    "Memory",
    "Operation",
    "Store",
    "accept",
    "listed",
    "page",
    "profile_of",
    "ulid",
]

MOST_STORES, MOST_GROUPS, MOST_TRAITS = 15, 50, 95
# https://www.twilio.com/docs/api/memory/v1: the group that every store has from the start
CONTACT = ("firstName", "lastName", "street", "city", "state", "postalCode", "country", "dob")
PROMOTED = ("phone", "email", "whatsapp")


def ulid(kind: str, twilio: State) -> str:
    """Make an id: the kind, and a ULID in lower case."""
    return f"{kind}_{new_id('any', twilio.clock.now(), twilio.random).rpartition('_')[2]}"


@dataclass(slots=True)
class Operation:
    """A change that takes from ``created`` to ``ends``; ``result`` is in Twilio's form."""

    id: str
    created: float
    ends: float
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    def view(self, now: float, prefix: str) -> dict[str, Any]:
        """Show it: PENDING in the first third of its time, then RUNNING, then its end."""
        shown: dict[str, Any] = {
            "operationId": self.id,
            "status": "PENDING",
            "createdAt": iso(self.created),
            "statusUrl": f"{prefix}/{self.id}",
        }
        if now >= self.ends:
            shown["status"] = "FAILED" if self.error else "COMPLETED"
            shown["completedAt"] = iso(self.ends)
            shown.update(
                {"error": self.error} if self.error else {"result": self.result} if self.result else {}
            )
        elif now >= self.created + (self.ends - self.created) / 3:
            shown["status"] = "RUNNING"
        return shown


@dataclass(slots=True)
class Store:
    """A memory store with its people. It is ACTIVE from ``ready`` on."""

    id: str
    name: str
    description: str | None
    ready: float
    people: People
    version: int = 1

    @property
    def etag(self) -> str:
        return f'"{self.id}-{self.version}"'

    def view(self, now: float) -> dict[str, Any]:
        return {
            "id": self.id,
            "displayName": self.name,
            "status": "ACTIVE" if now >= self.ready else "PROVISIONING",
            "intelligenceServiceId": None,
            "version": self.version,
            **({"description": self.description} if self.description else {}),
        }


@dataclass(slots=True)
class Import:
    """An import: PENDING until its file comes, then PROCESSING until ``ends``."""

    id: str
    store: Store
    filename: str
    size: int
    columns: list[ColumnMapping]
    created: float
    ends: float | None = None
    failed: bool = False
    errors: int = 0
    warnings: int = 0


class Memory:
    """The stores of the account, operations and imports by id, and writes that are not yet visible."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self.stores: dict[str, Store] = {}
        self.operations: dict[str, Operation] = {}
        self.imports: dict[str, Import] = {}
        self._waiting: deque[tuple[float, Callable[[], object]]] = deque()
        self._times: deque[float] = deque()

    def create(self, name: str, description: str | None = None, ready: float | None = None) -> Store:
        """Create a store with its trait group Contact."""
        twilio, now = self._twilio, self._twilio.clock.now()
        people = People(lambda: ulid("mem_profile", twilio))
        traits = {trait: Trait(data_type="STRING") for trait in CONTACT}
        traits |= {trait: Trait(data_type="STRING", id_type_promotion=trait) for trait in PROMOTED}
        people.groups["Contact"] = TraitGroup("Contact", "Contact information", traits, now)
        store = Store(ulid("mem_store", twilio), name, description, now if ready is None else ready, people)
        self.stores[store.id] = store
        return store

    def store(self, store_id: str, active: bool = True) -> Store:
        """Find a store. Raises 404, and, if it has to be ``active``, 400 while it is not."""
        store = self.stores.get(store_id)
        if store is None:
            raise Problem(404, 20404, "The store was not found")
        self.settle()
        if active and self._twilio.clock.now() < store.ready:
            raise Problem(400, 20001, "The store is not active yet")
        return store

    def write(self, change: Callable[[], object]) -> None:
        """Make a change once ``profiles_after`` has passed, as writes are asynchronous."""
        self._waiting.append((self._twilio.clock.now() + self._twilio.options.profiles_after, change))
        self.settle()

    def settle(self) -> None:
        now = self._twilio.clock.now()
        while self._waiting and self._waiting[0][0] <= now:
            self._waiting.popleft()[1]()

    def limit(self) -> None:
        """Count a request about profiles. Raises 429 beyond ``profiles_per_second``, if that is set."""
        now, most = self._twilio.clock.now(), self._twilio.options.profiles_per_second
        if not most:
            return
        while self._times and self._times[0] <= now - 1:
            self._times.popleft()
        if len(self._times) >= most:
            problem = Problem(429, 20429, "Too Many Requests")
            problem.headers["retry-after"] = "1"
            raise problem
        self._times.append(now)


def accept(twilio: State, result: dict[str, Any] | None = None) -> Reply:
    """Answer 202 with a new operation, which takes the pace of operations."""
    now = twilio.clock.now()
    operation = Operation(ulid("mem_operation", twilio), now, now + twilio.options.pace, result)
    twilio.part(Memory).operations[operation.id] = operation
    url = address("memory", f"/v1/ControlPlane/Operations/{operation.id}")
    headers = {"operation-id": operation.id, "location": url, "retry-after": "1"}
    return json_reply({"message": "Accepted", "statusUrl": url}, 202, headers)


def profile_of(store: Store, request: Request, profile_id: str) -> Profile:
    """Find a profile. Raises 404, and 301 or 308 with the other's id if it was merged."""
    people = store.people
    profile = people.profiles.get(profile_id)
    if profile is not None:
        return profile
    if profile_id not in people.merged:
        raise Problem(404, 20404, "The profile was not found")
    other = people.canonical(profile_id)
    moved = Problem(301 if request.method == "GET" else 308, 20301, "This resource has moved.")
    uri = address("memory", request.path.replace(profile_id, other))
    moved.headers = {"location": uri, "canonical-profile-id": other}
    moved.body = {"message": "This resource has moved.", "uri": uri}
    raise moved


def listed(request: Request, default: int = 50, most: int = 1000) -> tuple[int, bool]:
    """Read the page size and whether the order is descending, as it is by default."""
    text = request.values.get("pageSize", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Problem(400, 20001, f"pageSize is not a number from 1 to {most}")
    order = request.values.get("orderBy", "DESC")
    if order not in ("ASC", "DESC"):
        raise Problem(400, 20001, "orderBy is ASC or DESC")
    return int(text), order == "DESC"


def page(request: Request, key: str, rows: Sequence[Any], size: int) -> tuple[list[Any], dict[str, Any]]:
    """Take a page by offset, as (items, meta)."""
    place = position(request.values.get("pageToken"))
    if place and (len(place) != 2 or place[0] != key or not isinstance(place[1], int)):
        raise Problem(400, 21481, "The page token is not valid")
    start = place[1] if place else 0
    found = list(rows[start : start + size + 1])
    meta: dict[str, Any] = {"key": key, "pageSize": size}
    if len(found) > size:
        meta["nextToken"] = token_of(key, start + size)
    return found[:size], meta
