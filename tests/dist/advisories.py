"""Known vulnerabilities of what we depend on directly, for where no service can be asked.

Written by hand from single pages of https://github.com/pypa/advisory-database and of GitHub's own
https://github.com/advisories, read on ``AS_OF``. It is no copy of either: it can lack what they have,
and says nothing of what was found since.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AS_OF", "KNOWN", "Advisory"]

AS_OF = "2026-11-21"


class Advisory(NamedTuple):
    package: str
    name: str
    fixed: str
    what: str


KNOWN = (
    Advisory("aiohttp", "PYSEC-2026-2103", "3.13.4", "takes several Host headers"),
    Advisory("aiohttp", "CVE-2026-22815", "3.13.4", "keeps trailers without a limit"),
    Advisory("aiohttp", "PYSEC-2026-2106", "3.14.0", "lets headers of a multipart body be injected"),
    Advisory("aiohttp", "PYSEC-2026-2108", "3.14.1", "lets a websocket frame pass the limits on memory"),
    Advisory("aiohttp", "PYSEC-2026-4371", "3.14.4", "lets requests be smuggled past the pure Python parser"),
    Advisory("pyarrow", "CVE-2023-47248", "14.0.1", "runs code from Parquet and IPC files"),
    Advisory("python-liquid", "PYSEC-2026-192", "2.2.0", "reads templates outside its search path"),
    Advisory("python-liquid", "PYSEC-2026-3035", "2.2.1", "hangs on an unfinished case tag"),
    Advisory("requests", "PYSEC-2026-1872", "2.32.4", "gives .netrc credentials to another host"),
    Advisory("requests", "PYSEC-2026-2275", "2.33.0", "unpacks archives to a name that can be foreseen"),
    Advisory("starlette", "CVE-2025-54121", "0.47.2", "blocks while it takes large uploads"),
    Advisory("starlette", "CVE-2025-62727", "0.49.1", "takes quadratic time for a Range header"),
    Advisory("starlette", "CVE-2026-48710", "1.0.1", "builds a path from the Host header"),
    Advisory("starlette", "PYSEC-2026-248", "1.3.0", "builds a host from the path"),
)
