"""Errors of a send of a few messages: which of them failed, why, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_twilio_comms.exceptions import InvalidInput, Refused, SendUncertain, TwilioError

SHOWN = 20  # SIDs that an error names
KINDS = 5  # errors that differ, of which one error tells


def uncertain_message(
    number: int, total: int, when: str, tried: str | None, *, tag: str, lag: float, sids: Sequence[str]
) -> SendUncertain:
    """Make the error of a message, by its ``number`` from 1, of which nobody can tell whether it was sent."""
    what = tried or "its list shows no such message to that recipient"
    return SendUncertain(
        f"message {number} of {total} was given to Twilio {when}, no reply came, and {what}. It was not sent "
        "again. Running the task again looks again. If it stays unknown, look into the message logs in "
        "Twilio's console: only where it certainly is not there, clear the task with on_unknown='resend'; "
        "on_unknown='assume_sent' takes it as sent",
        part=f"message {number}",
        key=tag,
        tried=tried or f"listed the recipient's messages for {lag:.0f} s",
        operation_ids=list(sids),
    )


def join_failures(
    failures: Mapping[int, TwilioError], total: int, sent: int, sids: Sequence[str]
) -> TwilioError:
    """Make one error of all that failed, by their number from 0: of the kind that a later try may fix, if
    there is one."""
    worst = min(failures.values(), key=_hope)
    alike: dict[str, list[int]] = {}
    for number, error in sorted(failures.items()):
        # An uncertain one names itself, and differs from the next in nothing else.
        text = str(error).partition(" was given")[2] if isinstance(error, SendUncertain) else str(error)
        alike.setdefault(text, []).append(number + 1)
    told = "; ".join(_numbered(numbers, text) for text, numbers in list(alike.items())[:KINDS])
    if len(alike) > KINDS:
        told += f"; and {len(alike) - KINDS} other errors"
    unknown = sum(isinstance(error, SendUncertain) for error in failures.values())
    doubt = f" (of {unknown} of them nobody knows)" if unknown else ""
    text = f"{len(failures)} of {total} messages could not be sent{doubt}. {told}. " + (
        f"{sent} were sent: {', '.join(sids[:SHOWN])}" if sids else "None was sent"
    )
    return type(worst)(text, **{name: getattr(worst, name) for name in worst.fields})


def _numbered(numbers: Sequence[int], text: str) -> str:
    named = ", ".join(str(number) for number in numbers[:KINDS])
    more = f" and {len(numbers) - KINDS} more" if len(numbers) > KINDS else ""
    lead = f"message{'s' if len(numbers) > 1 else ''} {named}{more}"
    verb = "were" if len(numbers) > 1 else "was"
    return f"{lead} {verb} given{text}" if text.startswith(" to Twilio") else f"{lead}: {text}"


def _hope(error: TwilioError) -> int:
    if isinstance(error, SendUncertain):
        return 0
    final = getattr(error, "verdict", None) in ("configuration", "recipient", "opt-out")
    return 2 if final or isinstance(error, (InvalidInput, Refused)) else 1
