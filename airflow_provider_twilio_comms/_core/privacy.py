"""Redact personal data in outputs: numbers become hashes that can be joined on, texts are left out.

A hash is ``HMAC-SHA256(key, number)`` as 64 hexadecimal digits, of the number in E.164 without a channel's
prefix, so that PostgreSQL's ``encode(hmac(phone, :hash_secret, 'sha256'), 'hex')`` makes the same one. It is
keyed, since there are few enough phone numbers to hash them all.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from airflow_provider_twilio_comms.exceptions import InvalidInput, scrub

Redact = Literal["none", "numbers", "text", "all"]


def derived(secret: str) -> str:
    """A key for hashes where nobody gave one: made of the connection's credential, and telling nothing of it.

    After a rotation of the credential the hashes are others.
    """
    return hmac.digest(secret.encode(), b"airflow_provider_twilio_comms hash_secret", "sha256").hex()


@dataclass(frozen=True)
class Redaction:
    """The form in which numbers and texts are written. ``key`` makes the hashes."""

    redact: Redact = "all"
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.hashes and not self.key:
            raise InvalidInput.at("hash_secret", "is empty", "Give the secret that keys the hashes")

    @property
    def hashes(self) -> bool:
        """Tell whether numbers are written as hashes."""
        return self.redact in ("numbers", "all")

    def number(self, address: str | None) -> str | None:
        """A person's number, or its hash. ``whatsapp:`` and the like are taken off."""
        if not address:
            return None
        bare = address.rpartition(":")[2]
        return self._hash(bare) if self.hashes else bare

    @cached_property
    def _hash(self) -> Callable[[str], str]:
        """HMAC-SHA256 in hexadecimal, with all that depends on the key alone done once."""
        key = self.key.encode()
        block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        inside, outside = (hashlib.sha256(bytes(each ^ pad for each in block)) for pad in (0x36, 0x5C))

        def digest(text: str) -> str:
            inner, outer = inside.copy(), outside.copy()
            inner.update(text.encode())
            outer.update(inner.digest())
            return outer.hexdigest()

        return digest

    def text(self, text: str | None) -> str | None:
        """A message's text, or nothing."""
        return None if self.redact in ("text", "all") else text

    def remark(self, text: str | None) -> str | None:
        """A remark of Twilio's about a message, without the number that it may name."""
        return text if text is None or not self.hashes else scrub(text)


def keyed_hash(secret: str, *parts: str) -> str:
    """A hash of the parts under the connection's secret: the same for the same, and of no use to others."""
    return _digest(secret, "seal", *parts).hex()[:32]


def code_of(secret: str, *parts: str, digits: int = 4) -> str:
    """A code of so many digits that follows from the parts, so that a later try knows it without a note."""
    return f"{int.from_bytes(_digest(secret, 'code', *parts), 'big') % 10**digits:0{digits}}"


def _digest(secret: str, *parts: str) -> bytes:
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
