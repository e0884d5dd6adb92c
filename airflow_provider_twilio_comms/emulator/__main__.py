"""Command line of the emulator: ``python -m airflow_provider_twilio_comms.emulator``."""

from __future__ import annotations

import argparse
import shlex
import signal
import threading
from collections.abc import Sequence
from typing import Any, get_args

from airflow_provider_twilio_comms.emulator.credentials import SENDER
from airflow_provider_twilio_comms.emulator.options import described
from airflow_provider_twilio_comms.emulator.server import running

__all__ = ["main"]


def _arguments(arguments: Sequence[str] | None) -> dict[str, Any]:
    """Parse the options; each field of ``Options`` that is a number, a choice or a switch has a flag."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_twilio_comms.emulator",
        description="Emulate Twilio on a loopback port, until Ctrl-C. Times are in seconds.",
        epilog="More can be changed over HTTP while it runs: POST /_emulator/options, /_emulator/faults ...",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--port", type=int, default=8025, help="port to listen on; 0 picks a free one (default: %(default)s)"
    )
    for field, description in described():
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(
                flag,
                action=argparse.BooleanOptionalAction,
                help=f"{description} (default: {'on' if field.default else 'off'})",
            )
        elif isinstance(field.default, (int, float)):
            kind = type(field.default)
            text = f"{description} (default: {field.default:g})"
            metavar = "SECONDS" if "time" in description.split(" of ")[0] else "NUMBER"
            parser.add_argument(flag, type=kind, metavar=metavar, help=text)
        elif choices := [each for each in _options(field.type) if isinstance(each, str)]:
            default = f" (default: {field.default})" if field.default else ""
            parser.add_argument(flag, choices=choices, help=description + default)
    return vars(parser.parse_args(arguments))


def _options(kind: Any) -> tuple[Any, ...]:
    """List what a type allows by name: those of ``Literal["body", "header"] | None``, for one."""
    inner = get_args(kind)
    return tuple(each for part in inner for each in (part, *_options(part)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the address and a connection to paste, then wait for SIGINT or SIGTERM."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with running(**_arguments(arguments)) as emulator:
        print(f"Twilio emulator at {emulator.url}")
        connection = emulator.connection_json(default_sender=SENDER)
        print(f"AIRFLOW_CONN_TWILIO_DEFAULT={shlex.quote(connection)}", flush=True)
        done.wait()


if __name__ == "__main__":
    main()
