"""Flows: work of several steps as generators, which ask for I/O and do none themselves.

A flow yields a ``Call`` to have it made (and is sent what the call reads, or has the error thrown in), a
``Pause`` to wait (and is sent the time after it, in seconds since 1970), a ``Download`` to have a file read
(and is sent its size), an ``Upload`` to have one written, an ``Aside`` to have something done that is not
Twilio's (and is sent its result) or a ``Group`` to have many calls and flows carried out together (and is
sent those that have ended since it was yielded last). It returns its result. The runners in ``client/`` are
the only ones to know how: with requests or aiohttp, threads or tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlsplit

from airflow_provider_twilio_comms.api.pace import Pace
from airflow_provider_twilio_comms.api.wire import Call, Effect, Method, Page
from airflow_provider_twilio_comms.exceptions import ApiError, TwilioError

__all__ = [
    "Aside",
    "Done",
    "Download",
    "Ended",
    "Flow",
    "Group",
    "Pause",
    "Upload",
    "advance",
    "all_of",
    "aside",
    "attempted",
    "every_item",
    "every_page",
    "fetched",
    "gone_through",
    "made",
    "now",
    "removed",
    "saved",
    "uploaded",
    "waited",
]

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait of so many seconds; the answer is the time. ``Pause(0)`` only asks for the time."""

    seconds: float = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class Download:
    """A download from an address that a reply named, without credentials, a block at a time.

    ``into`` can be sought: if the connection breaks, it is emptied and the file is read again. Its repr shows
    the host only, because anyone with the address can read the file.
    """

    url: str
    into: IO[bytes]

    method: ClassVar[Method] = "GET"
    does: ClassVar[Effect] = "reads"
    repeatable: ClassVar[bool] = True

    def __repr__(self) -> str:
        return f"<Download from {self.path}>"

    @property
    def path(self) -> str:
        """The part of the address that a log may show."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True, repr=False)
class Upload:
    """An upload of a file to an address that a reply named: one PUT, without credentials.

    ``file`` can be sought: it is read from its start, again if the connection breaks. The repr shows the host
    only, because anyone with the address can write the file.
    """

    url: str
    file: IO[bytes]
    content_type: str = "text/csv"

    method: ClassVar[Method] = "PUT"
    does: ClassVar[Effect] = "writes"
    repeatable: ClassVar[bool] = True

    def __repr__(self) -> str:
        return f"<Upload to {self.path}>"

    @property
    def path(self) -> str:
        """The part of the address that a log may show."""
        return urlsplit(self.url).netloc

    def size(self) -> int:
        """Go to the start of the file; returns its size in bytes."""
        size = self.file.seek(0, 2)
        self.file.seek(0)
        return size


@dataclass(frozen=True, slots=True, repr=False)
class Aside:
    """A blocking call to something other than Twilio, such as Airflow; on an event loop it runs in a thread.

    Only a ``TwilioError`` is thrown into the flow; anything else ends it.
    """

    do: Callable[[], Any]


class Ended(NamedTuple):
    """The outcome of one of a group: what it gave, or its error."""

    key: Any
    value: Any = None
    error: TwilioError | None = None


class Group:
    """Calls and flows to be carried out together, at most ``at_once`` of them, at a ``pace``.

    ``work`` gives pairs of a key and a call or flow. It is gone through as places become free, so it may be
    endless, and what it gives is always begun; None says that it has nothing until one has ended. A flow that
    yields a group is sent a list of those that have ended meanwhile (:class:`Ended`, as they end), and yields
    it again for the next ones; an empty list says that all have ended. A slow one therefore holds up nobody
    but itself. An error is a value like any other, and :meth:`stop` begins no further ones; those under way
    are finished in any case, also where the flow ends before them. ``weigh`` says how much one counts for the
    pace; ``time`` is when ``work`` was last asked for one, in seconds since 1970.
    """

    def __init__(
        self,
        work: Iterable[tuple[Any, Call[Any] | Flow[Any]] | None],
        at_once: int,
        pace: Pace | None = None,
        weigh: Callable[[Any], float] | None = None,
    ) -> None:
        self.work = work
        self.at_once: int = max(1, at_once)
        self.pace: Pace = pace or Pace()
        self.weigh: Callable[[Any], float] = weigh or (lambda key: 1.0)
        self.stopped: bool = False
        self.time: float = 0.0

    def stop(self) -> None:
        """Begin nothing more."""
        self.stopped = True


Flow: TypeAlias = Generator["Call[Any] | Pause | Download | Upload | Aside | Group", Any, T]


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The end of a flow, with its result."""

    value: T


def advance(flow: Generator[A, Any, T], value: Any = None, error: Exception | None = None) -> A | Done[T]:
    """Step a flow: send it an answer, or throw an error into it.

    A plain function on purpose: a ``StopIteration`` may not leave a coroutine.
    """
    try:
        return flow.throw(error) if error is not None else flow.send(value)
    except StopIteration as stop:
        return Done(stop.value)


def made(call: Call[T]) -> Flow[T]:
    """Make a single call, as a flow."""
    result: T = yield call
    return result


def fetched(call: Call[T]) -> Flow[T | None]:
    """Make a single call, as a flow; None if Twilio answers 404: it does not exist yet, or no longer."""
    try:
        return (yield from made(call))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def attempted(flow: Flow[Any]) -> Flow[TwilioError | None]:
    """Carry a flow through; returns its error as a value, None where it has none."""
    try:
        yield from flow
    except TwilioError as error:
        return error
    return None


def removed(call: Call[Any]) -> Flow[bool]:
    """Delete something; returns True if it existed."""
    try:
        yield from made(call)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def waited(seconds: float) -> Flow[float]:
    """Wait; returns the time."""
    time: float = yield Pause(seconds)
    return time


def now() -> Flow[float]:
    """The time, in seconds since 1970."""
    return (yield from waited(0))


def aside(do: Callable[[], T]) -> Flow[T]:
    """Run a blocking function; returns its result."""
    result: T = yield Aside(do)
    return result


def gone_through(group: Group, take: Callable[[Any, Any], None]) -> Flow[None]:
    """Carry out a group, and hand each key and what came of it to ``take``, as they end.

    At the first error, or where ``take`` raises one, no further ones are begun; those under way are finished
    and taken, and the error is raised.
    """
    failed: TwilioError | None = None
    ended: list[Ended] = yield group
    while ended:
        for key, value, error in ended:
            try:
                if error is not None:
                    raise error
                take(key, value)
            except TwilioError as raised:
                failed = failed or raised
                group.stop()
        ended = yield group
    if failed is not None:
        raise failed


def all_of(work: Iterable[Call[T] | Flow[T]], at_once: int) -> Flow[list[T]]:
    """Carry out calls and flows together; returns what each gave, in their order. Raises the first error."""
    found: dict[int, T] = {}
    yield from gone_through(Group(enumerate(work), at_once), found.__setitem__)
    return [found[place] for place in sorted(found)]


def saved(url: str, into: IO[bytes]) -> Flow[int]:
    """Download a file into another; returns its size in bytes."""
    size: int = yield Download(url, into)
    return size


def uploaded(url: str, file: IO[bytes]) -> Flow[None]:
    """Upload a file to an address that a reply named."""
    yield Upload(url, file)


def every_page(
    first: Call[Page[T]], take: Callable[[Sequence[T]], None], limit: int | None = None
) -> Flow[int]:
    """Hand every page's items to ``take``, a page at a time, up to ``limit``; returns the number of items."""
    count = 0
    call: Call[Page[T]] | None = first
    while call is not None and (limit is None or count < limit):
        page = yield from made(call)
        items = page.items if limit is None else page.items[: limit - count]
        take(items)
        count += len(items)
        call = page.next
    return count


def every_item(first: Call[Page[T]], limit: int | None = None) -> Flow[list[T]]:
    """All items of a list, or its first ``limit``, following pages only as far as needed."""
    items: list[T] = []
    call: Call[Page[T]] | None = first
    while call is not None and (limit is None or len(items) < limit):
        page = yield from made(call)
        items.extend(page.items)
        call = page.next
    return items[:limit]
