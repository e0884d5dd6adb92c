"""MkDocs hook that adds the generated pages to the written ones."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from mkdocs.structure.files import File, Files

__all__ = ["on_files"]


def on_files(files: Files, config: Any) -> Files:
    """Add a file for each page of the reference."""
    # Importing Airflow writes a configuration file: not into the home of whoever builds the documentation.
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="twilio-docs-"))
    from docs.hooks.generated import PAGES

    for path, made in PAGES.items():
        files.append(File.generated(config, path, content=made()))
    return files
