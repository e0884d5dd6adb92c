"""``make audit``: known vulnerabilities of the releases in ``constraints.txt`` that we depend on directly.

pip-audit asks PyPI, or else OSV. Where neither answers, ``advisories`` is what is left, and that is said.
Only findings fail: a service that cannot be reached is no finding. ``--all`` looks at what our dependencies
need, too; those are chosen by whoever installs Airflow, and findings there are shown and do not fail.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.dist.advisories import AS_OF, KNOWN
from tests.dist.build import DISTRIBUTION, ROOT, tool

__all__ = ["asked", "direct", "main", "pinned", "remembered"]

SERVICES = ("pypi", "osv")


def pinned(constraints: str) -> dict[str, set[str]]:
    """The releases of each package that ``constraints.txt`` names: one, or one for each range of Pythons."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", constraints, re.M):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def direct() -> set[str]:
    """Return what we depend on ourselves, with all extras."""
    return {canonicalize_name(Requirement(each).name) for each in requires(DISTRIBUTION) or ()}


def asked(releases: Mapping[str, Iterable[str]], service: str) -> list[tuple[str, str]] | None:
    """Findings of a service as (package, sentence); ``None`` where it did not answer for every release."""
    found = []
    # A file for each set of releases that can be installed together: a package has one in a file.
    remaining = {name: sorted(versions) for name, versions in releases.items()}
    while remaining:
        reply = _pip_audit(
            [f"{name}=={versions[0]}" for name, versions in sorted(remaining.items())], service
        )
        if reply is None:
            return None
        found += reply
        remaining = {name: versions[1:] for name, versions in remaining.items() if versions[1:]}
    return found


def _pip_audit(lines: Sequence[str], service: str) -> list[tuple[str, str]] | None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("\n".join(lines))
        command = [tool("pip-audit"), "--vulnerability-service", service, "--requirement", file, "--no-deps"]
        options = ["--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
        done = subprocess.run([*command, *options], capture_output=True, text=True)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    if any("skip_reason" in each for each in dependencies):
        return None
    return [
        (each["name"], f"{each['name']} {each['version']}: {flaw['id']}, fixed in {flaw['fix_versions']}")
        for each in dependencies
        for flaw in each["vulns"]
    ]


def remembered(releases: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    """Findings by our own list."""
    for known in KNOWN:
        for version in releases.get(known.package, ()):
            if Version(version) < Version(known.fixed):
                yield (
                    known.package,
                    f"{known.package} {version}: {known.name}, {known.what}; fixed in {known.fixed}",
                )


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing is known against what we depend on directly."""
    parser = argparse.ArgumentParser(prog="python -m tests.dist.audit")
    parser.add_argument("--all", action="store_true", help="look at what our dependencies need, too")
    given = parser.parse_args(arguments)
    everything = pinned((ROOT / "constraints.txt").read_text())
    ours = direct()
    releases = everything if given.all else {name: everything[name] for name in sorted(ours)}
    for service in SERVICES:
        found = asked(releases, service)
        if found is not None:
            source = service
            break
        print(f"{service} did not answer for every release")
    else:
        found, source = list(remembered(releases)), f"our own list of {AS_OF}, which knows nothing newer"
    print(*(sentence for _, sentence in found), sep="\n", end="\n" if found else "")
    serious = [name for name, _ in found if canonicalize_name(name) in ours]
    print(f"{len(releases)} packages, {len(found)} findings, {len(serious)} of them direct, by {source}")
    return 1 if serious else 0


if __name__ == "__main__":
    sys.exit(main())
