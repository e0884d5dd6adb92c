"""The wheel alone, in an empty environment outside the source tree, with an empty home."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.dist.build import DISTRIBUTION, NAME, ROOT, VERSION, tool

__all__ = ["Installed", "installed"]

EXTRAS = "demo,emulator,parquet"

_WHERE = f"import pathlib, {NAME}; print(pathlib.Path({NAME}.__file__).parent)"

_PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print("read:" + json.dumps({"dags": sorted(bag.dags), "errors": bag.import_errors}))
"""

_TEST_CONNECTION = f"""
import requests, sys
from {NAME}.hooks.twilio import TwilioHook
works, said = TwilioHook().test_connection()
health = requests.get(sys.argv[1] + "/_emulator/health", timeout=10).json()
sys.exit(0 if works and health["ok"] else said)
"""


class Installed:
    """An environment in ``folder`` that holds the wheel and what it needs, and nothing of this tree."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.home, self.here, env = folder / "home", folder / "here", folder / "env"
        self.home.mkdir()
        self.here.mkdir()
        self.python = env / "bin" / "python"
        self.env = {
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(env / "bin"), os.defpath]),
            "NO_PROXY": "localhost,127.0.0.1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
        }
        uv = tool("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, env], check=True, cwd=folder)
        constraints = ("--constraint", ROOT / "constraints.txt")
        what = f"{DISTRIBUTION}[{EXTRAS}] @ {wheel.resolve().as_uri()}"
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", env, *constraints, what], check=True, cwd=folder
        )

    def run(self, *command: str | Path, timeout: float = 120, **env: str) -> str:
        """Return what a program there prints; raises when it fails."""
        done = subprocess.run(
            command,
            cwd=self.here,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        if done.returncode:
            raise AssertionError(
                f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}"
            )
        return done.stdout

    @property
    def package(self) -> Path:
        """Find where the package is; it is not this tree's."""
        return Path(self.run(self.python, "-c", _WHERE).strip())

    def provider_is_listed(self) -> None:
        said = self.run("airflow", "providers", "get", DISTRIBUTION)
        assert re.search(rf"{DISTRIBUTION}\s*\|\s*{re.escape(VERSION)}", said), said

    def examples(self) -> list[str]:
        """The ids of the example DAGs, all of which can be read."""
        said = self.run(self.python, "-c", _PARSE, self.package / "example_dags")
        read = json.loads(said.rpartition("read:")[2])
        assert not read["errors"], read["errors"]
        return list(read["dags"])

    def emulator_answers(self) -> None:
        """Its command starts, the printed connection works with the hook, and SIGTERM ends it."""
        command = [self.python, "-m", f"{NAME}.emulator", "--port", "0"]
        with subprocess.Popen(
            command, cwd=self.here, env=self.env, stdout=subprocess.PIPE, text=True
        ) as started:
            try:
                assert started.stdout
                url = started.stdout.readline().split()[-1]
                name, _, connection = shlex.split(started.stdout.readline())[0].partition("=")
                self.run(self.python, "-c", _TEST_CONNECTION, url, **{name: connection})
            finally:
                started.terminate()
                code = started.wait(20)
        assert code == 0, f"the emulator ended with {code}"

    def demo(self) -> str:
        """The demo's last line: what became of 25,000 people."""
        return self.run(self.python, "-m", f"{NAME}.demo", timeout=300).splitlines()[-1]


@contextlib.contextmanager
def installed(wheel: Path) -> Iterator[Installed]:
    with tempfile.TemporaryDirectory(prefix="twilio-wheel-") as folder:
        yield Installed(wheel, Path(folder))
