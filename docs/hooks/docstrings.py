"""Docstrings converted to Markdown: roles become links, code blocks become fences.

A griffe extension, named in ``mkdocs.yml``.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

from griffe import Extension

__all__ = ["Markdown", "described", "markdown", "without_parameters"]

EXCEPTIONS = "airflow_provider_twilio_comms.exceptions"
_ROLE = re.compile(r":(?:class|func|meth|mod|exc):`(~?)([\w.]+)`")
_BLOCK = re.compile(r"^( *)(?:\.\. code-block:: (\w+)|(.*?)::)\n\n((?:\1 +\S.*\n|\n)+)", re.M)
_PARAMETER = re.compile(r"^:param (\w+): (.*(?:\n {4}.*)*)", re.M)
_URL = re.compile(r"(?<![<(\"])(https://[^\s)>\"]*[\w/#])")


def markdown(text: str) -> str:
    """Convert a docstring to Markdown."""
    text = _BLOCK.sub(_fenced, text.rstrip() + "\n")
    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else _linked(part) for part in parts).strip()


def without_parameters(text: str) -> str:
    """Remove the lines of a docstring that describe its parameters."""
    return _PARAMETER.sub("", text)


def described(text: str) -> dict[str, str]:
    """Read the description of each parameter from a docstring, on one line, as Markdown."""
    return {name: _linked(" ".join(said.split())) for name, said in _PARAMETER.findall(text)}


def _fenced(found: re.Match[str]) -> str:
    indent, language, before, body = found.groups()
    lead = f"{indent}{before}:\n\n" if before else ""
    return f"{lead}```{language or 'text'}\n{textwrap.dedent(body).rstrip()}\n```\n\n"


def _linked(text: str) -> str:
    """Turn addresses into links, and roles too if their target is on a page."""
    return _URL.sub(r"<\1>", _ROLE.sub(_reference, text))


def _reference(found: re.Match[str]) -> str:
    short, path = found.groups()
    shown = path.rpartition(".")[2] if short else path
    target = path if "." in path else f"{EXCEPTIONS}.{path}"
    return f'<autoref optional identifier="{target}"><code>{shown}</code></autoref>'


class Markdown(Extension):
    """An extension of griffe that rewrites every docstring as it is read."""

    def on_instance(self, *, obj: Any, **kwargs: Any) -> None:
        from docs.hooks.examples import with_imports  # it reads docstrings itself

        if obj.docstring is not None:
            value = obj.docstring.value
            obj.docstring.value = with_imports(markdown(without_parameters(value) if obj.is_class else value))
