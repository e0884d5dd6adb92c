"""The instructions for contributors name files, make targets and tools that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.blocks import ROOT
from tests.test_house import APART, LAYERS, PACKAGE

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
DESIGN = (ROOT / "docs" / "design.md").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z0-9.-]*):.*##", (ROOT / "Makefile").read_text(), re.M))
RECIPES = re.split(r"^### ", CONTRIBUTING.partition("[start:recipes]")[2], flags=re.M)[1:]


def paths(text: str) -> set[str]:
    """Everything in backticks that looks like a file or a folder."""
    return set(re.findall(r"`([\w./-]+/|[\w./-]+\.(?:py|md|yaml|txt))`", text))


def exists(path: str) -> bool:
    return any((folder / path).exists() for folder in (ROOT, PACKAGE))


@pytest.mark.parametrize("text", [CONTRIBUTING, DESIGN], ids=["CONTRIBUTING.md", "design.md"])
def test_files_exist(text: str) -> None:
    assert len(paths(text)) > 15
    assert {path for path in paths(text) if not exists(path)} == set()


def test_the_table_of_make_targets_is_complete() -> None:
    table = CONTRIBUTING.split("## Make targets")[1].split("\n## ")[0]
    assert set(re.findall(r"`make ([a-z0-9]+)`", table)) == TARGETS - {"help", "clean"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.partition("\n")[0])
def test_a_recipe_has_ten_steps_and_names_files(recipe: str) -> None:
    assert len(re.findall(r"^\d+\. ", recipe, re.M)) == 10
    assert len(paths(recipe)) >= 5


def test_every_kind_of_change_has_a_recipe() -> None:
    titles = " ".join(recipe.partition("\n")[0] for recipe in RECIPES)
    assert all(word in titles for word in ("endpoint", "operator", "guard", "source"))
    assert '--8<-- "CONTRIBUTING.md:recipes"' in DESIGN


def test_the_picture_shows_the_layers_in_their_order() -> None:
    picture = (ROOT / "docs" / "images" / "layers.svg").read_text()
    shown = re.findall(r'monospace"[^>]*>([\w, ]+)</text>', picture)
    rows = [tuple(each.split(", ")) for each in shown]
    assert [row for row in rows if row[0] not in APART] == list(reversed(LAYERS))
    assert {row[0] for row in rows if row[0] in APART} == set(APART)


def steps(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_workflows_run_the_make_targets() -> None:
    ran = []
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            ran += [command for command in steps(job) if "apt-get" not in command]
    assert all(command.startswith("make ") for command in ran)
    assert {command.split()[1] for command in ran} == {"test", "verify"}


def test_hooks_before_a_commit_use_the_projects_own_tools() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert recipe
    for hook in repository["hooks"]:
        tool = Path(hook["entry"].split()[0])
        assert f"$(BIN)/{tool.name}" in recipe[1]
        assert tool.parent == Path(".venv/bin")


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_templates_are_valid_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text())
