"""Pages made of files outside ``docs``: the example DAGs, the changelog and the security policy."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from docs.hooks.docstrings import markdown

__all__ = ["changelog", "examples", "security"]

ROOT = Path(__file__).resolve().parents[2]
_INTRO = """# Example DAGs

They are in the package, below `airflow_provider_twilio_comms/example_dags`, and `make airflow` runs them.
Each is also a test, which runs it against the emulator. The [Cookbook](cookbook.md)
explains the recipes.

| DAG file | purpose |
|---|---|
"""


def changelog() -> str:
    """The page of the changelog."""
    return (ROOT / "CHANGELOG.md").read_text()


def security() -> str:
    """The page of the security policy, its links as seen from the site."""
    return re.sub(r"\]\(docs/", "](", (ROOT / "SECURITY.md").read_text())


def examples() -> str:
    """The page of the example DAGs: a table, and each file with its description."""
    rows, parts = [], []
    for path in sorted((ROOT / "example_dags").glob("*.py")):
        text = path.read_text()
        said = markdown(ast.get_docstring(ast.parse(text)) or "")
        first, _, rest = said.partition("\n\n")
        code = text[re.match(r'"""(?s:.*?)"""\n', text).end() :].strip()  # type: ignore[union-attr]
        code = code.removeprefix("from __future__ import annotations").strip()
        rows.append(f"| [`{path.stem}`](#{path.stem}) | {' '.join(first.split())} |")
        parts.append(
            f"## {path.stem} {{ #{path.stem} }}\n\n{first}\n\n{rest}\n\n"
            f'```python title="{path.name}"\n{code}\n```\n'
        )
    return _INTRO + "\n".join(rows) + "\n\n" + "\n".join(parts)
