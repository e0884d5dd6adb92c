"""``make dist``: build into ``dist/``, check it, install it elsewhere, and use it there."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Iterator

from tests.dist.build import ROOT, build, complaints
from tests.dist.installed import installed

__all__ = ["main"]


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    print(f"{name} ...", flush=True)
    began = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)


def main() -> int:
    """0 when the distributions are fit to be uploaded."""
    folder = ROOT / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    with step("build"):
        built = build(folder)
    with step("check"):
        wrong = list(complaints(built))
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    with contextlib.ExitStack() as elsewhere:
        with step("install the wheel alone"):
            there = elsewhere.enter_context(installed(built.wheel))
        with step("airflow providers get"):
            there.provider_is_listed()
        with step("read the examples"):
            print("  " + " ".join(there.examples()))
        with step("ask the emulator"):
            there.emulator_answers()
        with step("run the demo"):
            print("  " + there.demo())
    for path in (built.sdist, built.wheel):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
