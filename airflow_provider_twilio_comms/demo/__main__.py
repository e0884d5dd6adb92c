"""Command line of the demo, ``python -m airflow_provider_twilio_comms.demo``; ``--keep`` to explore it."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from airflow_provider_twilio_comms.demo import campaign
from airflow_provider_twilio_comms.demo.rest import RestFailed
from airflow_provider_twilio_comms.demo.settings import OWN, kept_env
from airflow_provider_twilio_comms.demo.stack import Stack, StackFailed

__all__ = ["main"]

# So that a bookmark or a tunnel survives a restart.
PORTS = (8080, 8081)
# Slow enough to watch the counters, quick enough not to bore; receipts come in last, as Twilio's do.
PACE = ["--pace", "12", "--receipts-lag", "3"]


def _examples() -> Path:
    """Find the example DAGs: inside an installed package, or beside the package in the source tree."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "example_dags"
    return inside if inside.is_dir() else package.parent / "example_dags"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_twilio_comms.demo",
        description="Text 25,000 made-up people from a real Airflow, with the emulator as Twilio, and count "
        "who was texted.",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="do not send; keep Airflow and the emulator running until Ctrl-C, to try DAGs in a browser",
    )
    parser.add_argument(
        "--dags",
        type=Path,
        metavar="FOLDER",
        default=_examples(),
        help="folder with the DAG files to load, such as your own with --keep (default: %(default)s)",
    )
    parser.add_argument(
        "--home",
        type=Path,
        metavar="FOLDER",
        help="AIRFLOW_HOME to use and keep (default: a temporary one, removed at the end)",
    )
    parser.add_argument(
        "--generation",
        choices=sorted(campaign.DAGS),
        default="comms",
        help="the API that sends: the Communications API, or the classic one (default: %(default)s)",
    )
    for name, what, port in zip(
        ("--port", "--emulator-port"), ("Airflow", "the emulator"), PORTS, strict=True
    ):
        parser.add_argument(
            name,
            type=int,
            metavar="PORT",
            default=port,
            help=f"port of {what} with --keep; another one is used if it is taken (default: %(default)s)",
        )
    given = parser.parse_args(arguments)
    given.recipients = given.dags / "data" / "recipients.csv"
    if not given.dags.is_dir():
        parser.error(f"there is no folder {given.dags}; give one with DAG files to --dags")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns 0 if the run succeeded and nobody was texted twice or left out."""
    given = _arguments(arguments)
    # Exit on SIGTERM in an orderly way: by default every finally would be skipped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _keep(given) if given.keep else _demo(given)
    except StackFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _demo(given: argparse.Namespace) -> int:
    with _started(given) as stack:
        outcome = campaign.run(stack, given.recipients, generation=given.generation)
        if outcome.state != "success":
            _explain(stack, campaign.DAGS[given.generation])
        print(outcome.report(), flush=True)
    return 0 if outcome.good else 1


def _keep(given: argparse.Namespace) -> int:
    with _started(given) as stack, contextlib.suppress(KeyboardInterrupt):
        print("Open either in a browser. Airflow needs no password: everybody is admin.")
        print(invitation(given.dags, campaign.DAGS[given.generation]))
        if kept := sorted(kept_env()):
            print(
                f"Kept from your shell: {', '.join(kept)}. A connection to a real account texts real people."
            )
        if dropped := sorted(OWN & os.environ.keys()):
            print(f"Not kept: {', '.join(dropped)}, since that is the emulator here.")
        print(f"Looking for DAGs in {given.dags} ...", flush=True)
        told: set[str] = set()
        while True:
            time.sleep(1)
            for component in stack.components.values():
                component.check()
            for line in _found(stack):
                if line not in told:
                    told.add(line)
                    print(f"  {line}", flush=True)
    return 0


def invitation(dags: Path, example: str) -> str:
    """Describe what to do next; the example is named where the folder has it."""
    such_as = f", such as {example}," if (dags / f"{example}.py").exists() else ""
    return f"Trigger a DAG there{such_as} and watch the emulator's outbox. Ctrl-C ends both."


def _found(stack: Stack) -> list[str]:
    """List the DAGs, and the files that cannot be read."""
    try:
        broken = stack.airflow.import_errors().items()
        return [*stack.airflow.dags(), *(f"{file} cannot be loaded: {why}" for file, why in broken)]
    except (RestFailed, requests.RequestException):  # busy; the next look is a second away
        return []


@contextlib.contextmanager
def _started(given: argparse.Namespace) -> Iterator[Stack]:
    began = time.monotonic()
    if given.keep:
        ports = (given.port, given.emulator_port)
        stack = Stack(given.dags, home=given.home, emulator_args=PACE, env=kept_env(), ports=ports)
    else:
        stack = Stack(given.dags, home=given.home, emulator_args=PACE)
    assert stack.emulator is not None
    print(
        "starting Airflow (scheduler, DAG processor, triggerer, API server) and the emulator ...", flush=True
    )
    with stack:
        print(f"up after {time.monotonic() - began:.1f} s, in {stack.home}")
        print(f"  Airflow   {stack.url}")
        print(f"  emulator  {stack.emulator.url}", flush=True)
        yield stack


def _explain(stack: Stack, dag_id: str) -> None:
    """Print the end of the logs of the tasks that failed."""
    for path in sorted(stack.task_logs.glob(f"dag_id={dag_id}/**/*.log")):
        print(f"--- {path.relative_to(stack.task_logs)}")
        print("\n".join(path.read_text(errors="replace").splitlines()[-15:]))


if __name__ == "__main__":
    sys.exit(main())
