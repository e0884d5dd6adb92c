"""The documentation builds without a warning, has no broken links, and loads nothing from outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from tests.docs.blocks import ROOT

pytest.importorskip("mkdocs", reason="the documentation's tools are not installed (group docs)")

pytestmark = pytest.mark.docs


class Page(HTMLParser):
    """The ids and links of a page, and the files that it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(found["href"])
        elif "src" in found:
            self.loads.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site with the command of ``make docs``."""
    folder = tmp_path_factory.mktemp("site")
    recipe = re.search(r"^docs:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert recipe
    command = recipe[1].replace("$(BIN)/python", sys.executable).replace("$(ARGS)", f"--site-dir {folder}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Read every page, by its path below the site."""
    found = {str(path.relative_to(site)): Page(path.read_text()) for path in site.rglob("*.html")}
    return {path: page for path, page in found.items() if path != "404.html"}


def links(pages: dict[str, Page]) -> Iterator[tuple[str, str]]:
    for path, page in pages.items():
        for link in page.links:
            yield path, link


def test_every_page_is_in_the_navigation(pages: dict[str, Page]) -> None:
    assert len(pages) > 20
    linked = {urljoin(path, urlsplit(link).path) for path, link in links({"index.html": pages["index.html"]})}
    assert set(pages) - {"index.html"} <= linked


def test_every_link_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    lost = []
    for path, link in links(pages):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = urljoin(path, parts.path) if parts.path not in ("", ".") else path
        if target not in pages:
            if not (site / target).exists():
                lost.append((path, link))
        elif parts.fragment and unquote(parts.fragment) not in pages[target].ids:
            lost.append((path, link))
    assert lost == []


def test_links_outside_are_well_formed_and_encrypted(pages: dict[str, Page]) -> None:
    wrong = []
    for path, link in links(pages):
        parts = urlsplit(link)
        if not (parts.scheme or parts.netloc):
            continue
        named = parts.scheme == "https" and re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc)
        if not named or re.search(r"[\s<>\"']|[.,;]$", link):
            wrong.append((path, link))
    assert wrong == []


def test_nothing_is_loaded_from_outside(site: Path, pages: dict[str, Page]) -> None:
    loaded = {(path, each) for path, page in pages.items() for each in page.loads}
    assert loaded
    assert {each for path, each in loaded if urlsplit(each).netloc} == set()
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?https?:", styles) == []


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("opt out", "opt-outs.html"),
        ("unsubscribe", "opt-outs.html"),
        ("s3", "install.html"),
        ("quiet hours", "guards.html"),
        ("whatsapp", "channels.html"),
        ("mms", "channels.html"),
        ("buy number", "numbers.html"),
        ("docker", "install.html"),
        ("idempotency key", "sending-once.html"),
    ],
)
def test_the_search_finds_a_page(site: Path, words: str, page: str) -> None:
    """A section of the index has words that begin with these, as the theme's search looks for them."""
    index = json.loads((site / "search" / "search_index.json").read_text())
    separator = re.compile(index["config"]["separator"])
    found = set()
    for section in index["docs"]:
        text = re.sub(r"<[^>]+>", " ", f"{section['title']} {section['text']}").lower()
        tokens = separator.split(text)
        if all(any(token.startswith(word) for token in tokens) for word in words.split()):
            found.add(section["location"].partition("#")[0])
    assert page in found


def luminance(colour: str) -> float:
    """The relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("selector", "name", "behind"),
    [
        ('[data-md-color-scheme="default"]', "--md-typeset-a-color", "#ffffff"),
        ('[data-md-color-scheme="default"]', "--md-code-hl-comment-color", "#f5f5f5"),
        ('[data-md-color-scheme="slate"]', "--md-typeset-a-color", "#1e2129"),
        ('[data-md-color-scheme="slate"]', "--md-code-hl-comment-color", "#272a35"),
        ('[data-md-color-primary="red"]', "--md-primary-fg-color", "#ffffff"),  # the header, with white text
    ],
)
def test_text_has_contrast(selector: str, name: str, behind: str) -> None:
    rule = (
        (ROOT / "docs" / "assets" / "site.css").read_text().partition(f"{selector} {{")[2].partition("}")[0]
    )
    (colour,) = re.findall(rf"{name}: (#\w{{6}});", rule)
    dark, light = sorted((luminance(colour), luminance(behind)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.stem)
def test_a_diagram_is_readable_on_a_phone_by_day_and_night(path: Path) -> None:
    """Drawn no wider than a phone, with texts of 12 at least, and with colours for both schemes."""
    text = path.read_text()
    width, *_ = re.findall(r'viewBox="0 0 (\d+) ', text)
    assert int(width) <= 400
    assert min(float(size) for size in re.findall(r'font-size="([\d.]+)"', text)) >= 12
    assert "<title" in text
    named = set(re.findall(r'class="(\w+)', text))
    for scheme in (
        text.partition("<style>")[2].partition("</style>")[0].split("@media (prefers-color-scheme: dark)")
    ):
        assert named <= set(re.findall(r"\.(\w+) {", scheme))
    pages = "".join(each.read_text() for each in (ROOT / "docs").glob("*.md"))
    assert f"(images/{path.name}){{ .diagram }}" in pages


def test_every_recipe_is_in_the_cookbook_and_every_example_on_its_page() -> None:
    cookbook = (ROOT / "docs" / "cookbook.md").read_text()
    recipes = {path.name for path in (ROOT / "example_dags").glob("twilio_recipe_*.py")}
    assert len(recipes) == 8
    assert recipes <= set(re.findall(r'^--8<-- "example_dags/(\w+\.py)"$', cookbook, re.M))
    from docs.hooks.root import examples

    for path in (ROOT / "example_dags").glob("*.py"):
        assert f"## {path.stem} {{" in examples()


def test_links_in_the_readme_lead_somewhere() -> None:
    found = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text())
    assert found
    for link in found:
        assert link.startswith("https://") or (ROOT / link.partition("#")[0]).exists(), link
