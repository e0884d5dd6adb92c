"""``make types``: whether everything public has a type that every type checker reads the same way.

pyright's ``--verifytypes`` looks at each public name. What it cannot know is what Airflow's own classes leave
open (the metaclass of its operators): a class of ours that only inherits that is counted, and is no finding.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.dist.build import NAME, ROOT, tool

__all__ = ["findings", "main", "verified"]

_AIRFLOWS = re.compile(r"Type of (metaclass|base class) unknown|Type of base class .* is partially unknown")
_HANGS_ON = re.compile(r"(?:Return|Parameter) type is \"(?:type\[)?(\w+)\]?\"")


def verified() -> Mapping[str, Any]:
    """Return what pyright reports of the package, as its ``typeCompleteness``."""
    command = [tool("basedpyright"), "--verifytypes", NAME, "--ignoreexternal", "--outputjson"]
    env = os.environ | {
        "PATH": os.pathsep.join([str(tool("python").parent), os.environ.get("PATH", os.defpath)])
    }
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    reported: Mapping[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    return reported


def findings(reported: Mapping[str, Any]) -> Iterator[str]:
    """List what has no type, or none that is certain: the file, the line, the name and why."""
    symbols: Sequence[Mapping[str, Any]] = reported["symbols"]
    open_ended = {each["name"].rpartition(".")[2] for each in symbols if _only_airflows(_errors(each))}
    for symbol in symbols:
        for error in _errors(symbol):
            hangs_on = _HANGS_ON.search(error["message"])
            if _AIRFLOWS.fullmatch(error["message"]) or (hangs_on and hangs_on[1] in open_ended):
                continue
            line = error["range"]["start"]["line"] + 1 if "range" in error else 0
            path, message = error["file"].removeprefix(f"{ROOT}/"), " ".join(error["message"].split())
            yield f"{path}:{line}: {symbol['name']}: {message}"


def _errors(symbol: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in symbol["diagnostics"] if each["severity"] == "error"]


def _only_airflows(errors: Sequence[Mapping[str, Any]]) -> bool:
    return bool(errors) and all(_AIRFLOWS.fullmatch(error["message"]) for error in errors)


def main() -> int:
    """0 when there is no finding."""
    reported = verified()
    counts = reported["exportedSymbolCounts"]
    found = list(findings(reported))
    print(*found, sep="\n", end="\n" if found else "")
    unknown, known = counts["withUnknownType"] + counts["withAmbiguousType"], counts["withKnownType"]
    print(f"{known + unknown:,} public names, {known:,} of a known type, {len(found)} findings")
    print(
        f"completeness {reported['completenessScore']:.1%}; the rest inherits from Airflow's untyped classes"
    )
    return 1 if found or not known else 0


if __name__ == "__main__":
    sys.exit(main())
