"""Command line: ``python -m airflow_provider_twilio_comms.conformance --conn-id twilio_default``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import airflow_provider_twilio_comms
from airflow_provider_twilio_comms.client import sync
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.conformance import classic, comms, people, sends
from airflow_provider_twilio_comms.conformance.checks import Check, Probe, Seen, untried
from airflow_provider_twilio_comms.conformance.report import Result, line, markdown, summary
from airflow_provider_twilio_comms.exceptions import ApiError, Refused, TransportFailed, TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["CHECKS", "main"]

CHECKS = (*sends.CHECKS, *classic.CHECKS, *comms.CHECKS, *people.CHECKS)  # what was sent is there to be read
WRONG = "0" * 32  # a secret that no credential has


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks. Returns 0 if all is as assumed, 1 if something differs, 2 if nothing was checked."""
    given = _parser().parse_args(arguments)
    try:
        config = TwilioHook(given.conn_id).config
    except TwilioError as error:
        print(f"The checks cannot run: {error}", file=sys.stderr)
        return 2
    probe = Probe(given.to, given.sender or config.default_sender)
    if given.to and not probe.sender:
        print("Give a sender with --from, or set default_sender in the connection", file=sys.stderr)
        return 2
    chosen = list(_affordable(given.max_messages if given.to else 0))
    print(_plan(config, chosen))
    if not given.yes and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        print("Nothing was asked of Twilio")
        return 2
    results = []
    for check in chosen:
        results.append(Result(check, _seen(check, probe, config)))
        print(line(results[-1]), flush=True)
    Path(given.report).write_text(markdown(results, _about(config)))
    print(f"\n{summary(results)}. The report is in {given.report}; it holds no number, text, SID or id")
    if not any(result.seen.agrees for result in results):
        return 2
    return int(any(result.seen.agrees is False for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_twilio_comms.conformance",
        description="Compare what this package assumes of Twilio with what an account shows. Reads only, "
        "unless --to names a number of your own that may be texted.",
        epilog="Exit status: 0 all as assumed, 1 something differs, 2 nothing could be checked.",
    )
    parser.add_argument(
        "--conn-id", default="twilio_default", help="Airflow connection (default: %(default)s)"
    )
    parser.add_argument("--to", metavar="NUMBER", help="number of your own, E.164, that may be texted")
    parser.add_argument("--from", dest="sender", metavar="NUMBER", help="sender (default: the connection's)")
    parser.add_argument(
        "--max-messages", type=int, default=3, metavar="N", help="messages at most (default: %(default)s)"
    )
    parser.add_argument(
        "--report", default="twilio-conformance.md", help="file to write (default: %(default)s)"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before the first request")
    return parser


def _affordable(messages: int) -> Iterator[Check]:
    """The checks that read, and those that send while there are messages left, with what depends on them."""
    sending = messages > 0
    for check in CHECKS:
        if check.sends > messages or (check in sends.CHECKS and not sending):
            continue
        messages -= check.sends
        yield check


def _plan(config: Config, chosen: Sequence[Check]) -> str:
    count = sum(check.sends for check in chosen)
    host = config.base("api").partition("://")[2].partition("/")[0]
    sent = "It reads only, and texts nobody."
    if count:
        sent = f"It texts the number given with --to {count} times, each at the price of one segment."
    if any(check.name == "send-cancel" for check in chosen):
        sent += " The last one is scheduled for half an hour from now."
    return f"{len(chosen)} checks against {host}, as the connection says. {sent} It changes nothing else.\n"


def _about(config: Config) -> str:
    where = "another base address" if config.base_url else "Twilio"
    return (
        f"Version {airflow_provider_twilio_comms.__version__}, {datetime.now(timezone.utc):%Y-%m-%d}, "
        f"against {where}, Communications API {config.comms_version}, with {config.kind}."
    )


def _seen(check: Check, probe: Probe, config: Config) -> Seen:
    """Carry a check out; an error becomes what was seen, by its kind, status and code only."""
    if check.credential == "wrong":
        if config.uses_oauth:
            return untried("an OAuth client's secret is checked elsewhere")
        config = replace(config, secret=WRONG)
    try:
        with sync.connected(config) as client:
            return client.run(check.look(probe))
    except ApiError as error:
        return Seen(False, f"answered with {error.status}" + (f", code {error.code}" if error.code else ""))
    except Refused:
        return untried("the connection forbids it (dry_run or allowed_recipients)")
    except TransportFailed:
        return untried("no reply")
    except TwilioError as error:
        return Seen(False, f"ended with {type(error).__name__}")


if __name__ == "__main__":
    sys.exit(main())
