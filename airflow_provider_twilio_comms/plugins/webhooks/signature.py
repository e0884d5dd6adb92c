"""Signature of a request, by which it is known as Twilio's: https://www.twilio.com/docs/usage/security#validating-requests

Two schemes. With the account's auth token Twilio signs by HMAC-SHA1; with a shared key, which the header
``X-Twilio-Webhooks-Signature-Settings`` names, by the algorithm that was agreed on for that key. Either
covers the public URL and the parameters of a form. A JSON body is covered by its hash in the URL,
``bodySHA256``.

Nothing here reads a Host header, a clock or a configuration: what is compared is handed in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit, urlunsplit

__all__ = ["SETTINGS", "SIGNATURE", "Secret", "genuine", "parameters", "signature"]

SIGNATURE = "x-twilio-signature"
SETTINGS = "x-twilio-webhooks-signature-settings"

Algorithm: TypeAlias = Literal["HMAC_SHA1", "HMAC_SHA256"]
Pairs: TypeAlias = Sequence[tuple[str, str]]

_HASHES = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
_PORTS = {"http": 80, "https": 443}
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 1000


class Secret(NamedTuple):
    """An auth token, or a shared key with its ``key`` id. The algorithm is ours to fix, not the header's."""

    value: str
    key: str | None = None
    algorithm: Algorithm = "HMAC_SHA1"

    def __repr__(self) -> str:
        return f"<Secret {self.key or 'auth token'} {self.algorithm}>"


def signature(secret: Secret, url: str, pairs: Pairs = ()) -> str:
    """Make the signature that Twilio writes into ``X-Twilio-Signature``."""
    text = url + "".join(name + value for name, value in sorted(set(pairs)))
    digest = hmac.new(secret.value.encode(), text.encode(), _HASHES[secret.algorithm]).digest()
    return base64.b64encode(digest).decode()


def genuine(
    secrets: Iterable[Secret], url: str, headers: Mapping[str, str], body: bytes, pairs: Pairs | None
) -> bool:
    """Tell if one of the secrets signed this request.

    ``url`` is the public address with its query, ``headers`` have lower-case names, ``body`` is raw, and
    ``pairs`` are its :func:`parameters`.
    """
    given = headers.get(SIGNATURE, "").encode("latin-1", "replace")
    if not given or pairs is None or not _body_fits(url, headers, body):
        return False
    signers = _signers(secrets, headers.get(SETTINGS))
    # No early end: how long it takes says nothing of which of them came close.
    matches = [
        hmac.compare_digest(given, signature(signer, address, pairs).encode())
        for signer in signers
        for address in _addresses(url)
    ]
    return any(matches)


def parameters(headers: Mapping[str, str], body: bytes) -> Pairs | None:
    """The pairs of a form, none for JSON; None where the body is neither, or cannot be read."""
    if not body or _is_json(headers):
        return ()
    if _kind(headers) != _FORM:
        return None
    try:
        return parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        return None


def _body_fits(url: str, headers: Mapping[str, str], body: bytes) -> bool:
    """A JSON body has to be covered by a hash; and a hash that is there has to be the body's."""
    hashes = [value for name, value in parse_qsl(urlsplit(url).query) if name == "bodySHA256"]
    if not hashes:
        return not _is_json(headers)
    found = hashlib.sha256(body).hexdigest().encode()
    return len(hashes) == 1 and hmac.compare_digest(found, hashes[0].lower().encode())


def _signers(secrets: Iterable[Secret], settings: str | None) -> list[Secret]:
    """Those that may have signed: the key that the settings name, by the algorithm that is agreed on."""
    if settings is None:
        return [secret for secret in secrets if secret.key is None]
    named = dict(re.findall(r"(\w+)\s*=\s*([^,\s]+)", settings))
    wanted = (named.get("key"), named.get("algorithm"))
    return [secret for secret in secrets if secret.key and (secret.key, secret.algorithm) == wanted]


def _addresses(url: str) -> Iterator[str]:
    """The address with and without the scheme's own port: Twilio signs either."""
    parts = urlsplit(url)
    port = _PORTS.get(parts.scheme)
    host = parts.netloc.rpartition("@")[2]
    yield url
    if parts.port is None:
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc}:{port}"))
    elif host.endswith(f":{parts.port}"):
        yield urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0]))


def _is_json(headers: Mapping[str, str]) -> bool:
    return bool(re.fullmatch(r"application/(?:[\w.-]+\+)?json", _kind(headers)))


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
