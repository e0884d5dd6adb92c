"""``python -m airflow_provider_twilio_comms.emulator``: serve until interrupted."""

from __future__ import annotations

import argparse
import shlex
import signal
import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from airflow_provider_twilio_comms.emulator.options import Options
from airflow_provider_twilio_comms.emulator.server import running

__all__ = ["main"]


def _arguments(arguments: Sequence[str] | None) -> dict[str, Any]:
    """The options given, by name; every one that is a number, a choice or a switch has its own flag."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_twilio_comms.emulator",
        description="Twilio without Twilio, on a loopback port.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--port", type=int, default=8025, help="0 takes a free one (default: %(default)s)")
    for field in msgspec.structs.fields(Options):
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=f"default: {field.default}")
        elif isinstance(field.default, (int, float)):
            kind = type(field.default)
            parser.add_argument(flag, type=kind, metavar="N", help=f"default: {field.default:g}")
    parser.add_argument("--accepted", choices=["body", "header"], help="where a 202 holds the operation id")
    return vars(parser.parse_args(arguments))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the address and a connection to paste, then wait for SIGINT or SIGTERM."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with running(**_arguments(arguments)) as emulator:
        print(f"Twilio emulator at {emulator.url}")
        print(f"AIRFLOW_CONN_TWILIO_DEFAULT={shlex.quote(emulator.connection)}", flush=True)
        done.wait()


if __name__ == "__main__":
    main()
