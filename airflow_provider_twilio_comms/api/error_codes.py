"""Twilio's error codes, each with a verdict and a meaning.

Twilio changes its codes without notice (https://www.twilio.com/docs/api/errors), so a code that is not listed
is judged by its HTTP status. The meanings are ours, for a person who reads a log at night.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

__all__ = ["Known", "Verdict", "from_twilio", "known", "refused", "verdict"]


class Verdict(Enum):
    """The verdict on an error: what to do about it."""

    RETRY = "retry"  # the same request may succeed later
    RECIPIENT = "recipient"  # this recipient cannot be reached; nothing here is wrong
    OPT_OUT = "opt-out"  # this recipient opted out; never try again
    CONFIGURATION = "configuration"  # account, sender or request must be changed first
    UNKNOWN = "unknown"  # the cause is not known, and perhaps not even whether it was sent


class Known(NamedTuple):
    """The verdict and meaning of a listed code."""

    verdict: Verdict
    meaning: str


def known(code: int | None) -> Known | None:
    """Look up the verdict and meaning of a code; None if it is not listed."""
    return _CODES.get(code) if code is not None else None


def from_twilio(code: int | None) -> bool:
    """Tell Twilio's own codes, which have five digits, from a proxy's, which at most repeat the status."""
    return code is not None and code >= 10_000


# Statuses by which a server, or a gateway before it, refuses a request that was not handed on. The others
# (408, 425, 499 ...) may come from a gateway that has forwarded the request: only Twilio's code proves more.
_NOT_HANDED_ON = frozenset({400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 431})


def refused(code: int | None, status: int) -> bool:
    """Tell whether a 4xx reply proves that the request was not processed."""
    return 400 <= status < 500 and (status in _NOT_HANDED_ON or (from_twilio(code) and status != 429))


def verdict(code: int | None, status: int | None = None) -> Verdict:
    """Judge an error by its code, else by its HTTP status."""
    listed = known(code)
    if listed:
        return listed.verdict
    if status == 429:
        return Verdict.RETRY
    if status is not None and refused(code, status):
        return Verdict.CONFIGURATION
    return Verdict.UNKNOWN


def _table(verdict: Verdict, meanings: dict[int, str]) -> dict[int, Known]:
    return {code: Known(verdict, meaning) for code, meaning in meanings.items()}


_CODES: dict[int, Known] = {
    **_table(
        Verdict.RETRY,
        {
            20009: "the message is still in flight and cannot be deleted yet",
            20429: "too many requests at once, not processed",
            21611: "the sender's queue is full",
            30001: "queue overflow, slow down",
            30003: "handset unreachable or switched off",
            30008: "the carrier gave no reason",
            30017: "carrier congestion",
            30020: "Twilio's scheduler failed",
            30047: "Twilio's scheduler failed",
            30114: "that day's report of deactivated numbers is not available yet",
            30022: "10DLC rate limit reached",
            30023: "10DLC daily cap reached, resets daily",
            30025: "half of the daily cap is used",
            30026: "70 % of the daily cap is used",
            30027: "the carrier's daily cap is reached, resets daily",
            30036: "not sent within its validity period",
            30610: "held back by quiet hours",
            63009: "the channel's provider failed",
            63010: "the channel failed inside Twilio",
            63011: "the channel's provider failed",
            63012: "the channel's provider failed",
            63017: "account-wide rate limit",
            63018: "the channel's rate limit",
            63038: "the channel's daily cap is reached",
        },
    ),
    **_table(
        Verdict.RECIPIENT,
        {
            21211: "not a valid recipient number",
            21214: "the recipient cannot be reached",
            21217: "not a valid phone number",
            21265: "a short code cannot be a recipient",
            21401: "not a valid phone number",
            21604: "the recipient is missing",
            21612: "no route from this sender to this recipient",
            21614: "not a mobile number",
            21635: "a landline cannot receive this",
            30004: "the recipient or carrier blocks messages",
            30005: "unknown or inactive number",
            30006: "landline or unreachable carrier",
            30011: "the recipient's carrier takes no MMS",
            30450: "blocked by the protection against SMS pumping",
            61337: "the recipient cannot receive RCS",
            63003: "the channel does not know this recipient",
            63024: "the channel does not accept this recipient",
            63032: "held back by an experiment of the channel",
            63033: "the recipient blocks the channel",
            63036: "the recipient cannot receive RCS",
        },
    ),
    **_table(
        Verdict.OPT_OUT,
        {
            21610: "the recipient opted out",
            30640: "a known litigator, held back",
            63014: "the recipient blocked or opted out",
        },
    ),
    **_table(
        Verdict.CONFIGURATION,
        {
            10001: "the account is not active",
            20001: "a parameter is unknown or invalid",
            20003: "authentication failed: wrong secret, wrong region, or a key that may not do this",
            20004: "the method is not allowed here",
            20005: "the account is not active",
            20006: "access denied",
            20007: "the page size is too large",
            20008: "not available with test credentials",
            20010: "the account is suspended",
            20101: "the access token is invalid",
            20104: "the access token has expired",
            20403: "the account may not do this",
            20404: "not found",
            20409: "conflicts with what exists",
            20410: "gone",
            20422: "a parameter is invalid",
            21212: "not a valid sender",
            21404: "a trial account cannot do this",
            21408: "messages to that country are not enabled",
            21421: "not a valid phone number",
            21422: "the number is not available",
            21452: "no number in that area code",
            21481: "the page token is stale",
            21601: "the sender cannot send SMS",
            21602: "the text is missing",
            21603: "the sender is missing",
            21606: "the sender is not this account's, or cannot send SMS",
            21607: "the sender must be a Twilio number",
            21608: "a trial account sends to verified numbers only",
            21609: "the callback URL is invalid",
            21616: "the sender matches several numbers",
            21617: "the text is longer than 1,600 characters",
            21618: "the text is invalid",
            21619: "text, media or content template is missing",
            21620: "a media URL is invalid",
            21621: "the sender cannot send media",
            21623: "too many media",
            21624: "the validity period is out of range",
            21631: "an address is required",
            21649: "a regulatory bundle is required",
            21651: "a regulatory document is required",
            21654: "content variables without a content template",
            21655: "the content template cannot be used",
            21656: "the content variables are invalid",
            21657: "the sender is not allowed here",
            21658: "a parameter is too long",
            21659: "not a Twilio number",
            21660: "the sender belongs to another account",
            21664: "the fallback sender cannot be used",
            21666: "the fallback sender needs a messaging service",
            21667: "the fallback sender is not allowed here",
            21701: "the messaging service does not exist",
            21703: "the messaging service has no sender",
            21704: "the messaging service has no sender for this recipient",
            21705: "the messaging service cannot be used",
            21709: "the alphanumeric sender is invalid",
            21710: "already in this messaging service",
            21711: "in another messaging service",
            21712: "in another messaging service",
            21714: "the messaging service's pool is full",
            30002: "the account is suspended",
            30007: "filtered as unwanted by carrier or Twilio",
            30010: "more expensive than the maximum price",
            30018: "the sender must be registered first",
            30019: "the media are too large",
            30024: "the sender must be registered first",
            30032: "the toll-free number is not verified",
            30033: "the campaign is suspended",
            30034: "the number is not registered for A2P 10DLC",
            30035: "the number is still being set up",
            30400: "exactly one of empty Body and Status=canceled is needed",
            30409: "it cannot be canceled any more",
            35111: "the time to send is missing",
            35114: "the time to send is invalid",
            35115: "the time to send is too far away",
            35117: "the time to send is too near",
            35118: "scheduling needs a messaging service",
            63001: "the channel rejected the credentials",
            63005: "the channel rejected the content",
            63007: "the channel does not know the sender",
            63008: "the channel is misconfigured",
            63013: "violates the channel's policy",
            63016: "outside WhatsApp's 24 hours: an approved template is needed",
            63019: "the media could not be fetched",
            63020: "the business account is restricted",
            63021: "the channel rejected the content",
            63026: "the channel treats it as spam",
            63027: "the template does not exist in this language",
            63028: "the template got the wrong number of variables",
            63030: "the channel rejected a parameter",
            63040: "the template was rejected",
            63041: "the template is paused",
            63042: "the template is disabled",
            63051: "the business account is locked",
            70001: "a parameter is invalid",
            70002: "a parameter is missing",
            70051: "the API key lacks this permission",
        },
    ),
    **_table(
        Verdict.UNKNOWN,
        {
            20500: "Twilio failed; the request may have been processed",
            20503: "Twilio was not available; the request may have been processed",
            30410: "the provider timed out; it may have been delivered",
        },
    ),
}
