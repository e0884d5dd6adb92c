"""Stand-ins for what may not be written down: keyed hashes, which only holders of the credentials can try."""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["code_of", "sealed"]


def sealed(secret: str, *parts: str) -> str:
    """A hash of the parts under the connection's secret: the same for the same, and of no use to others."""
    return _digest(secret, "seal", *parts).hex()[:32]


def code_of(secret: str, *parts: str, digits: int = 4) -> str:
    """A code of so many digits that follows from the parts, so that a later try knows it without a note."""
    return f"{int.from_bytes(_digest(secret, 'code', *parts), 'big') % 10**digits:0{digits}}"


def _digest(secret: str, *parts: str) -> bytes:
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
