"""Approval by text: who may answer, with which code, and which answer counts. Nothing of it names a person.

The code and the numbers of those who may answer are kept as hashes, salted with the question's name and keyed
with the connection's secret: what Airflow stores cannot be turned back by trying all codes or numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from airflow_provider_twilio_comms._core.inbound import InboundMessage
from airflow_provider_twilio_comms._core.privacy import code_of, derived, keyed_hash
from airflow_provider_twilio_comms.client.config import Config

__all__ = ["Ballot", "Vote", "asked", "key_of", "text_of"]

MOST_WRONG = 20  # wrong codes of one person, after which that person is no longer heard
Reply: TypeAlias = Literal["vote", "stranger", "wrong code", "unclear", "silenced"]


class Vote(NamedTuple):
    """The answer: the option, and the place of who gave it in the allow-list. ``date`` is Twilio's."""

    option: str
    voter: int
    sid: str
    date: float


@dataclass(frozen=True)
class Ballot:
    """A question that is open. Times are seconds since 1970, by Twilio's clock."""

    options: tuple[str, ...]
    salt: str
    code_hash: str
    voter_hashes: tuple[str, ...]
    opened: float
    deadline: float

    def judged(self, arrived: Sequence[InboundMessage], key: str) -> tuple[Vote | None, Counter[Reply]]:
        """The first answer that counts, and how many of each kind came before it.

        Others' messages, wrong codes, unclear texts, and whatever came before the question or after its
        deadline, change nothing.
        """
        kinds: Counter[Reply] = Counter()
        wrong: Counter[int] = Counter()
        for each in arrived:
            if not int(self.opened) <= each.date <= self.deadline:
                continue
            kind, option, voter = self._read(each, key, wrong)
            kinds[kind] += 1
            if kind == "vote":
                return Vote(option, voter, each.sid, each.date), kinds
        return None, kinds

    def _read(self, message: InboundMessage, key: str, wrong: Counter[int]) -> tuple[Reply, str, int]:
        seal = _seal(key, self.salt, message.sender)
        if seal not in self.voter_hashes:
            return "stranger", "", -1
        voter = self.voter_hashes.index(seal)
        if wrong[voter] >= MOST_WRONG:
            return "silenced", "", voter
        words = re.findall(r"\w+", message.body.casefold())
        codes = [word for word in words if word.isdecimal()]
        if codes and all(keyed_hash(key, self.salt, "code", code) != self.code_hash for code in codes):
            wrong[voter] += 1
            return "wrong code", "", voter
        chosen = [option for option in self.options if option.casefold() in words]
        if len(words) != 2 or len(codes) != 1 or len(chosen) != 1:  # "not yes 4821" is no yes
            return "unclear", "", voter
        return "vote", chosen[0], voter


def key_of(config: Config) -> str:
    """What keys the hashes: others after the credential's rotation, unless there is a ``hash_secret``."""
    return config.hash_secret or derived(config.secret)


def asked(
    key: str,
    name: str,
    options: Sequence[str],
    voters: Sequence[str],
    digits: int,
    opened: float,
    until: float,
) -> tuple[Ballot, str]:
    """A new question of this name, and its code. The same name has the same code: a retry needs no note."""
    code = code_of(key, name, digits=digits)
    seals = tuple(_seal(key, name, voter) for voter in voters)
    return Ballot(tuple(options), name, keyed_hash(key, name, "code", code), seals, opened, until), code


def text_of(subject: str, options: Sequence[str], code: str) -> str:
    """What is texted."""
    choices = " or ".join(f"{option} {code}" for option in options)
    return f"{subject}\nReply {choices}"


def _seal(key: str, salt: str, address: str) -> str:
    return keyed_hash(key, salt, "voter", address.rpartition(":")[2])
