"""Build the sdist and the wheel, and look at what is in them."""

from __future__ import annotations

import email
import filecmp
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import airflow_provider_twilio_comms

__all__ = ["DISTRIBUTION", "NAME", "ROOT", "Built", "build", "complaints", "tool"]

ROOT = Path(__file__).resolve().parents[2]
NAME = "airflow_provider_twilio_comms"
DISTRIBUTION = "airflow-provider-twilio-comms"
VERSION = airflow_provider_twilio_comms.__version__
INFO = f"{NAME}-{VERSION}.dist-info"

# What may be in the wheel: code, what the pages are made of, the marker of types, and the examples' own data.
BELONGS = re.compile(
    rf"{NAME}/(?!tests/)(py\.typed|([\w/-]+\.(py|html|css|js|svg))|example_dags/data/([\w.]+\.(csv|sql)|\.airflowignore))"
    rf"|{re.escape(INFO)}/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)"
)
BESIDES = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
LARGEST = 2_000_000  # bytes; the examples' list of recipients is most of what there is


@dataclass(frozen=True)
class Built:
    sdist: Path
    wheel: Path


def tool(name: str) -> Path:
    """A program of the environment that runs this."""
    return Path(sys.executable).with_name(name)


def build(folder: Path) -> Built:
    """The sdist from the tree, the wheel from the sdist, as an index's users would build it."""
    _uv_build(folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Built(sdist, wheel)


def _uv_build(folder: Path, *options: str) -> None:
    constraints = ("--build-constraint", str(ROOT / "constraints.txt"))
    subprocess.run(
        [tool("uv"), "build", "--quiet", *constraints, *options, "--out-dir", folder, ROOT], check=True
    )


def complaints(built: Built) -> Iterator[str]:
    """List what is wrong with them; nothing if all is well."""
    twine = [tool("twine"), "check", "--strict", built.sdist, built.wheel]
    done = subprocess.run(twine, capture_output=True, text=True)
    if done.returncode:
        yield f"twine: {done.stdout}{done.stderr}"
    with tempfile.TemporaryDirectory() as folder:
        _uv_build(Path(folder), "--wheel")
        if not filecmp.cmp(built.wheel, Path(folder) / built.wheel.name, shallow=False):
            yield "the wheel made of the sdist is not the one made of the tree, byte for byte"
    yield from _in_wheel(built.wheel)
    yield from _in_sdist(built.sdist)


def _in_wheel(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    here = {name if name.startswith(NAME) else f"{NAME}/{name}" for name in _sources()}
    there = {name for name in files if not name.startswith(INFO)}
    yield from (f"wheel: {name} is missing" for name in sorted(here - there))
    yield from (f"wheel: {name} is not in the tree" for name in sorted(there - here))
    yield from (f"wheel: {name} does not belong" for name in sorted(files) if not BELONGS.fullmatch(name))
    yield from (f"wheel: {name} names this machine" for name, data in files.items() if bytes(ROOT) in data)
    if path.stat().st_size > LARGEST:
        yield f"wheel: {path.stat().st_size:,} bytes, and {LARGEST:,} is the most"
    yield from _in_metadata(email.message_from_bytes(files[f"{INFO}/METADATA"]))


def _in_sdist(path: Path) -> Iterator[str]:
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    yield from (
        f"sdist: {name} is missing" for name in sorted(_sources() | BESIDES - names) if name not in names
    )
    yield from (f"sdist: {name} does not belong" for name in sorted(names - _sources() - BESIDES))


def _in_metadata(metadata: Message) -> Iterator[str]:
    wanted = {
        "Name": DISTRIBUTION,
        "Version": VERSION,
        "Requires-Python": ">=3.10",
        "License-File": "LICENSE",
    }
    for field, value in {**wanted, "License-Expression": "Apache-2.0"}.items():
        if metadata[field] != value:
            yield f"metadata: {field} is {metadata[field]}, not {value}"
    # The project is published nowhere yet: name its addresses once they exist.
    yield from (f"metadata: {each} does not exist" for each in metadata.get_all("Project-URL", []))
    headings = re.findall(r"^## (?!Unreleased$)(.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    if not headings or not re.fullmatch(rf"{re.escape(VERSION)} \(\d{{4}}-\d\d-\d\d\)", headings[0]):
        yield f"CHANGELOG.md begins with {headings[:1]}, not with {VERSION} and its date"


def _sources() -> set[str]:
    """Every file of the package and of the examples, as a path from the root of the tree."""
    paths = [
        path for folder in (NAME, "example_dags") for path in (ROOT / folder).rglob("*") if path.is_file()
    ]
    return {path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts}
