"""A frequency cap: at most so many messages to a person in any so many days, over all DAGs, in a table.

A row is a claim of a send to one message to a person. A person's claims are numbered, and the person and the
number are the primary key: of two sends that want the next one at the same moment, the database gives it to
one, and the other one looks again. So a batch is one statement, which counts and claims, and no lock is held.

A claim is taken when a send is planned, and marked as ``given`` before its message is given to Twilio. What
was not given is released at the end of the try. A released row keeps its number, for the others to count on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from airflow_provider_twilio_comms._core.campaigns.consent import Session
from airflow_provider_twilio_comms.client.config import FrequencyCap
from airflow_provider_twilio_comms.exceptions import TwilioError

TABLE = "twilio_frequency"
FRESH = 3600.0  # seconds for which a claim counts as of now, by which every window is longer
AT_ONCE = 300  # people of a statement
ROUNDS = 100  # of claiming the same people; each is lost to somebody else's success
DAY = 86_400.0

CREATE = """CREATE TABLE IF NOT EXISTS {table} (
    person VARCHAR(64) NOT NULL,
    number INTEGER NOT NULL,
    claim VARCHAR(64) NOT NULL,
    send VARCHAR(64) NOT NULL,
    given INTEGER NOT NULL,
    claimed_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (person, number)
)"""
INDEX = "CREATE INDEX IF NOT EXISTS {name}_send ON {table} (send)"

Wanted = tuple[str, int]  # a number, and which message of the send to that number it is, from 0


@dataclass
class Claims:
    """The claims of one send, which ``send`` names. ``hashed`` makes the hash of a number."""

    session: Session
    table: str
    cap: FrequencyCap
    send: str
    hashed: Callable[[str], str]

    def create(self) -> None:
        """Make the table where there is none."""
        self.session.execute(CREATE.format(table=self.table))
        name = re.sub(r"\W+", "_", self.table).strip("_")
        self.session.execute(INDEX.format(name=name, table=self.table))

    def take(self, wanted: Sequence[Wanted], at: float) -> set[Wanted]:
        """Claim messages that go out at a time, in seconds since 1970; returns those that are within the cap.

        What this send has claimed already stays claimed. Raises :class:`TwilioError`.
        """
        taken: set[Wanted] = set()
        for names in self._parts(wanted):
            taken |= self._take(names, at)
        return taken

    def within(self, wanted: Sequence[Wanted], at: float) -> set[Wanted]:
        """Those that are within the cap at a time, without a claim to it."""
        found: set[Wanted] = set()
        for names in self._parts(wanted):
            people = sorted({person for person, _ in names.values()})
            marks = ", ".join("?" * len(people))
            rows = self.session.select(
                f"SELECT person, COUNT(*) FROM {self.table} WHERE person IN ({marks}) AND send <> ? "
                "AND claimed_at > ? AND claimed_at < ? GROUP BY person",
                [*people, self.send, *self._window(at)],
            )
            counts = {str(person): int(count) for person, count in rows}
            for want, (person, _) in names.items():
                if counts.get(person, 0) + want[1] < self.cap.messages:
                    found.add(want)
        return found

    def give(self, wanted: Sequence[Wanted]) -> None:
        """Note that messages are about to be given to Twilio: from then on the claims stay."""
        self._mark(wanted, 1)

    def take_back(self, wanted: Sequence[Wanted]) -> None:
        """Note that messages were not taken by Twilio: the claims are released at the end of the try."""
        self._mark(wanted, 0)

    def release(self) -> None:
        """Release what this send has claimed and not given to Twilio."""
        self.session.execute(
            f"UPDATE {self.table} SET claim = '', send = '', claimed_at = 0 WHERE send = ? AND given = 0",
            (self.send,),
        )

    def _take(self, names: dict[Wanted, tuple[str, str]], at: float) -> set[Wanted]:
        taken: set[Wanted] = set()
        left = dict(names)
        for _ in range(ROUNDS):
            self._insert(left.values(), at)
            own = self._own(left.values(), at)
            taken |= {want for want, (_, claim) in left.items() if claim in own}
            left = {want: name for want, name in left.items() if want not in taken}
            full = self._full(left, at) if left else frozenset()
            left = {want: name for want, name in left.items() if name[1] not in full}
            if not left:
                return taken
        raise TwilioError(
            f"so many sends claim the same people in {self.table} that this one did not come through: "
            "nothing of this batch was sent. A later try goes on"
        )

    def _insert(self, names: Iterable[tuple[str, str]], at: float) -> None:
        """The one statement that counts and claims; what another send was faster with is left out."""
        pairs = sorted(names)  # in one order everywhere, so that no two statements wait for each other
        values = ", ".join(["(?, ?)"] * len(pairs))
        start, end = self._window(at)
        self.session.execute(
            f"INSERT INTO {self.table} (person, number, claim, send, given, claimed_at) "
            f"SELECT v.column1, COALESCE((SELECT MAX(o.number) FROM {self.table} o "
            "WHERE o.person = v.column1), 0) + 1, v.column2, ?, 0, ? "
            f"FROM (VALUES {values}) AS v "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.table} o WHERE o.person = v.column1 "
            "AND o.claim = v.column2 AND (o.given = 1 OR (o.claimed_at >= ? AND o.claimed_at <= ?))) "
            f"AND (SELECT COUNT(*) FROM {self.table} o WHERE o.person = v.column1 "
            "AND o.claim <> v.column2 AND o.claimed_at > ? AND o.claimed_at < ?) < ? "
            "ON CONFLICT DO NOTHING",
            [
                self.send,
                at,
                *(each for pair in pairs for each in pair),
                at - FRESH,
                at + FRESH,
                start,
                end,
                self.cap.messages,
            ],
        )

    def _own(self, names: Iterable[tuple[str, str]], at: float) -> set[str]:
        """The claims of this send that hold."""
        people = sorted({person for person, _ in names})
        marks = ", ".join("?" * len(people))
        rows = self.session.select(
            f"SELECT claim FROM {self.table} WHERE person IN ({marks}) AND send = ? "
            "AND (given = 1 OR (claimed_at >= ? AND claimed_at <= ?))",
            [*people, self.send, at - FRESH, at + FRESH],
        )
        return {str(row[0]) for row in rows}

    def _full(self, left: dict[Wanted, tuple[str, str]], at: float) -> Collection[str]:
        """The claims that are not to be had: the person has as many messages as the cap allows."""
        people = sorted({person for person, _ in left.values()})
        marks = ", ".join("?" * len(people))
        rows = self.session.select(
            f"SELECT person, claim FROM {self.table} WHERE person IN ({marks}) "
            "AND claimed_at > ? AND claimed_at < ?",
            [*people, *self._window(at)],
        )
        claims: dict[str, list[str]] = {}
        for person, claim in rows:
            claims.setdefault(str(person), []).append(str(claim))
        return {
            claim
            for person, claim in left.values()
            if sum(other != claim for other in claims.get(person, ())) >= self.cap.messages
        }

    def _mark(self, wanted: Sequence[Wanted], given: int) -> None:
        for names in self._parts(wanted):
            people = sorted({person for person, _ in names.values()})
            claims = [claim for _, claim in names.values()]
            self.session.execute(
                f"UPDATE {self.table} SET given = {given} WHERE person IN ({', '.join('?' * len(people))}) "
                f"AND claim IN ({', '.join('?' * len(claims))})",
                [*people, *claims],
            )

    def _parts(self, wanted: Sequence[Wanted]) -> Iterable[dict[Wanted, tuple[str, str]]]:
        """Some people at a time, each with the hash of the number and the name of the claim."""
        for start in range(0, len(wanted), AT_ONCE):
            found: dict[Wanted, tuple[str, str]] = {}
            for want in wanted[start : start + AT_ONCE]:
                person = self.hashed(want[0])
                told = f"{self.send}|{person}|{want[1]}"
                found[want] = person, hashlib.sha256(told.encode()).hexdigest()[:40]
            yield found

    def _window(self, at: float) -> tuple[float, float]:
        """Around a time, since what is scheduled goes out after it."""
        reach = self.cap.days * DAY + FRESH
        return at - reach, at + reach
