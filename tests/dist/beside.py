"""An environment that has an Airflow already, and what pip would do to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.dist.build import DISTRIBUTION, ROOT, tool
from tests.dist.matrix import AIRFLOWS

__all__ = ["EXTRAS", "Beside"]

EXTRAS = "demo,emulator,holidays,messaging,parquet,statistics"


class Beside:
    """An environment in ``folder`` with a supported Airflow, and pip, but not this package."""

    def __init__(self, airflow: str, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        uv = tool("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, cwd=ROOT)
        install = [uv, "pip", "install", "--quiet", "--python", self.python, *AIRFLOWS[airflow]]
        install += ["apache-airflow", "pip"]  # in the version that is pinned there
        subprocess.run(install, check=True, cwd=ROOT)

    def installed(self) -> dict[str, str]:
        """The version of each package that is there."""
        return {each["name"].lower(): each["version"] for each in self._pip("list", "--format", "json")}

    def changes(self, wheel: Path, *more: str) -> dict[str, str]:
        """The version of each package that pip would install, with every extra of the wheel."""
        what = f"{DISTRIBUTION}[{EXTRAS}] @ {wheel.resolve().as_uri()}"
        report = self._pip("install", "--dry-run", "--quiet", "--report", "-", what, *more)
        found = [each["metadata"] for each in report["install"]]
        return {each["name"].lower(): each["version"] for each in found}

    def _pip(self, *arguments: str) -> Any:
        command = [self.python, "-m", "pip", "--disable-pip-version-check", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
