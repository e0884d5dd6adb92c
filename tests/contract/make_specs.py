"""Write the facts of Twilio's OpenAPI documents into ``tests/contract/specs``, for validation in tests.

``python -m tests.contract.make_specs [FOLDER]`` reads the documents from a folder: the argument, or
``$TWILIO_SPECS``, or ``../shared/twilio/specs`` beside the clone. Facts are paths, parameters, schemas,
patterns, enums, required fields and status codes; descriptions, titles and examples stay behind. The replies
that the documents give as examples are rewritten into ``example_replies.json``, and the requests of the
Communications API into ``example_requests.json``: same fields, made-up texts.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.contract.disagreements import OMITTED
from tests.contract.documents import DOCUMENTS, EXAMPLE_REPLIES, EXAMPLE_REQUESTS, METHODS, ROOT, SPECS
from tests.contract.made_up import MadeUp

__all__ = ["extract_facts", "find_originals", "make_files"]

NAMES = (*DOCUMENTS.values(), "comms_preview", "memory_v1")

# Keywords of OpenAPI and JSON Schema by the kind of their content: prose, names, or a value.
PROSE = {
    *("title", "summary", "description", "example", "examples", "externalDocs", "tags"),
    *("contact", "termsOfService"),
}
NAMED = {
    *("paths", "responses", "headers", "content", "encoding", "links", "callbacks", "variables"),
    *("schemas", "parameters", "requestBodies", "securitySchemes"),
    *("properties", "patternProperties", "dependentSchemas", "$defs"),
}
VALUES = {"enum", "const", "default", "required", "mapping", "security"}
CROSS_ORIGIN = "Access-Control-"  # headers for browsers, five to a reply: they say nothing about the API


def extract_facts(node: Any) -> Any:
    """A part of a document without its prose. Fields that happen to be called "title" stay."""
    if isinstance(node, list):
        return [extract_facts(each) for each in node]
    if not isinstance(node, dict):
        return node
    facts = {}
    for key, value in node.items():
        if key in PROSE or key.startswith("x-"):
            continue
        if key in VALUES:
            facts[key] = value
        elif key in NAMED and isinstance(value, dict):
            kept = {name: extract_facts(each) for name, each in value.items() if not _is_noise(key, name)}
            if kept or not value:
                facts[key] = kept
        else:
            facts[key] = extract_facts(value)
    return facts


def _is_noise(key: str, name: str) -> bool:
    return key == "headers" and name.startswith(CROSS_ORIGIN)


def _example_replies(product: str, document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation that has examples, with its replies by status and name."""
    made_up = MadeUp(document)
    for item in document["paths"].values():
        for method, operation in item.items():
            key = f"{product}.{operation['operationId']}" if method in METHODS else ""
            if not key or key in OMITTED:
                continue
            replies = {
                status: {
                    name: made_up.rewrite(example["value"])
                    for body in response.get("content", {}).values()
                    for name, example in body.get("examples", {}).items()
                }
                for status, response in operation["responses"].items()
            }
            if any(replies.values()):
                yield key, {status: examples for status, examples in replies.items() if examples}


def _example_requests(product: str, document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation whose JSON request has examples, by name."""
    made_up = MadeUp(document)
    for item in document["paths"].values():
        for method, operation in item.items():
            body = operation.get("requestBody", {}).get("content", {}) if method in METHODS else {}
            examples = body.get("application/json", {}).get("examples", {})
            if examples:
                yield (
                    f"{product}.{operation['operationId']}",
                    {name: made_up.rewrite(example["value"]) for name, example in examples.items()},
                )


def find_originals(given: str | None = None) -> Path | None:
    """The folder of Twilio's documents, if it is here."""
    folder = Path(given or os.environ.get("TWILIO_SPECS") or ROOT.parent / "shared" / "twilio" / "specs")
    return folder if (folder / "comms_v1.json").is_file() else None


def make_files(originals: Path) -> dict[Path, str]:
    """Build the contents of the files in the repository, by path."""
    documents = {name: json.loads((originals / f"{name}.json").read_text("utf-8")) for name in NAMES}
    replies = {
        key: examples
        for product, name in DOCUMENTS.items()
        for key, examples in _example_replies(product, documents[name])
    }
    requests = dict(_example_requests("comms", documents["comms_v1"]))
    made = {SPECS / f"{name}.json": extract_facts(document) for name, document in documents.items()}
    examples = {EXAMPLE_REPLIES: replies, EXAMPLE_REQUESTS: requests}
    return {path: _written(content) for path, content in {**made, **examples}.items()}


def _written(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    originals = find_originals(*arguments[:1])
    if originals is None:
        print(
            "Twilio's OpenAPI documents are not there: name their folder, or set TWILIO_SPECS",
            file=sys.stderr,
        )
        return 1
    for path, text in make_files(originals).items():
        path.write_text(text, "utf-8")
        print(f"{path.relative_to(ROOT)}: {len(text)} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
