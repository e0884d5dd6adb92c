"""Approval by text: allowed voters, single-use codes, and the first answer that counts.

The code and the numbers of the voters are kept as hashes, salted with the question's name and keyed with the
connection's secret: what Airflow stores cannot be turned back by trying all codes or numbers.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from airflow_provider_twilio_comms._core.inbound import InboundMessage
from airflow_provider_twilio_comms._core.privacy import code_of, derived, keyed_hash
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.flows import Flow, every_item
from airflow_provider_twilio_comms.client.config import Config

MOST_WRONG = 20  # wrong codes of one person, after which that person is no longer heard
SLICE = 250  # replies judged at a time: about a millisecond
SHORTEST, LONGEST = 4, 8  # digits of a code
TEXTED = 1000  # the newest texts to one person, which are searched for codes of other questions
Reply: TypeAlias = Literal[
    "vote", "stranger", "wrong code", "answer to another question", "unclear", "silenced"
]

_asked = re.compile(rf"\nReply (\w+ \d{{{SHORTEST},{LONGEST}}}(?: or \w+ \d{{{SHORTEST},{LONGEST}}})*)\s*\Z")


class Vote(NamedTuple):
    """The answer: the option, and the place of the voter among the ballot's. ``date`` is Twilio's."""

    option: str
    voter: int
    sid: str
    date: float


@dataclass(frozen=True)
class Ballot:
    """A question that is open. Times are seconds since 1970, by Twilio's clock.

    ``digits`` is the length of its code; 0 where that is not known.
    """

    options: tuple[str, ...]
    salt: str
    code_hash: str
    voter_hashes: tuple[str, ...]
    opened: float
    deadline: float
    digits: int = 0

    def parse(self, body: str) -> tuple[str, str] | None:
        """Read a reply as option and code: these two words, in either order, and nothing else.

        "not yes 4821" is no yes, and a text that holds many codes is no try of any of them.
        """
        words = re.findall(r"\w+", body.casefold())
        codes = [word for word in words if word.isdecimal() and self._fits(word)]
        chosen = [option for option in self.options if option.casefold() in words]
        return (chosen[0], codes[0]) if len(words) == 2 and len(codes) == len(chosen) == 1 else None

    def _fits(self, code: str) -> bool:
        return len(code) == self.digits if self.digits else SHORTEST <= len(code) <= LONGEST


@dataclass(repr=False)
class Tally:
    """Judge the replies to one ballot, each once, until one counts.

    Strangers' messages, wrong codes, unclear texts, and replies from before the question or after its
    deadline change nothing. A voter with ``MOST_WRONG`` wrong codes becomes the ``suspect``, and judging
    stops there, until :meth:`excuse` is told the codes that were texted to that person: those answer other
    questions. ``kinds`` counts the replies judged so far.
    """

    ballot: Ballot
    kinds: Counter[Reply] = field(default_factory=Counter)
    vote: Vote | None = None
    suspect: str | None = None
    silenced: set[int] = field(default_factory=set)
    _waiting: deque[InboundMessage] = field(default_factory=deque)
    _wrong: dict[int, list[str]] = field(default_factory=dict)
    _others: set[tuple[int, str]] = field(default_factory=set)

    @property
    def pending(self) -> bool:
        """Tell if replies are left to judge that may matter."""
        return bool(self._waiting) and self.vote is None

    def add(self, arrived: Iterable[InboundMessage]) -> None:
        """Take in replies, oldest first, that were not taken in before."""
        first, last = int(self.ballot.opened), self.ballot.deadline
        self._waiting.extend(each for each in arrived if first <= each.date <= last)

    def judge(self, key: str, most: int = SLICE) -> Vote | None:
        """Judge up to so many replies; returns the vote once there is one."""
        for _ in range(most):
            if not self.pending or not self._judge(self._waiting[0], key):
                break
            self._waiting.popleft()
        return self.vote

    def excuse(self, key: str, codes: Collection[str]) -> None:
        """Stop counting codes of other questions; silence the suspect if too many wrong ones are left."""
        assert self.suspect is not None
        voter = self._voter(self.suspect, key)
        wrong = self._wrong[voter]
        self.suspect = None
        self._others.update((voter, code) for code in codes)
        self._wrong[voter] = [code for code in wrong if code not in codes]
        excused = len(wrong) - len(self._wrong[voter])
        self.kinds.update({"wrong code": -excused, "answer to another question": excused})
        self.kinds = +self.kinds
        if len(self._wrong[voter]) >= MOST_WRONG:
            self.silenced.add(voter)

    def _judge(self, message: InboundMessage, key: str) -> bool:
        """Count one reply; returns False where its sender is to be looked up first."""
        voter = self._voter(message.sender, key)
        if voter not in self.silenced and len(self._wrong.get(voter, ())) >= MOST_WRONG:
            self.suspect = message.sender
            return False
        kind, option = self._read(message, voter, key)
        self.kinds[kind] += 1
        if kind == "vote":
            self.vote = Vote(option, voter, message.sid, message.date)
        return True

    def _read(self, message: InboundMessage, voter: int, key: str) -> tuple[Reply, str]:
        if voter < 0:
            return "stranger", ""
        if voter in self.silenced:
            return "silenced", ""
        parsed = self.ballot.parse(message.body)
        if parsed is None:
            return "unclear", ""
        option, code = parsed
        if keyed_hash(key, self.ballot.salt, "code", code) == self.ballot.code_hash:
            return "vote", option
        if (voter, code) in self._others:
            return "answer to another question", ""
        self._wrong.setdefault(voter, []).append(code)
        return "wrong code", ""

    def _voter(self, address: str, key: str) -> int:
        found = hash_voter(key, self.ballot.salt, address)
        return self.ballot.voter_hashes.index(found) if found in self.ballot.voter_hashes else -1


def key_of(config: Config) -> str:
    """The key of the hashes: another after the credential's rotation, unless there is a ``hash_secret``."""
    return config.hash_secret or derived(config.secret)


def hash_voter(key: str, salt: str, address: str) -> str:
    """Hash the number of somebody who may answer, or did."""
    return keyed_hash(key, salt, "voter", address.rpartition(":")[2])


def open_ballot(
    key: str,
    name: str,
    options: Sequence[str],
    voters: Sequence[str],
    digits: int,
    opened: float,
    until: float,
) -> tuple[Ballot, str]:
    """Open a question of this name; returns it and its code. The same name has the same code on a retry."""
    code = code_of(key, name, digits=digits)
    hashes = tuple(hash_voter(key, name, voter) for voter in voters)
    code_hash = keyed_hash(key, name, "code", code)
    return Ballot(tuple(options), name, code_hash, hashes, opened, until, digits), code


def text_of(subject: str, options: Sequence[str], code: str) -> str:
    """The question as it is texted; :func:`texted_codes` reads its last line."""
    choices = " or ".join(f"{option} {code}" for option in options)
    return f"{subject}\nReply {choices}"


def texted_codes(address: str) -> Flow[set[str]]:
    """List the codes of the questions among the newest texts to this person, also those not yet sent."""
    rows = yield from every_item(messages.list(to=address, page_size=TEXTED), TEXTED)
    texts = (row.body or "" for row in rows if row.direction != "inbound")
    lines = (found[1] for text in texts if (found := _asked.search(text)))
    return {word for line in lines for word in line.split() if word.isdecimal()}
