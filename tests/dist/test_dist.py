"""The package as it is shipped holds all it should, and works where nothing else of ours is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dist.beside import EXTRAS, Beside
from tests.dist.build import DISTRIBUTION, ROOT, Built, build, complaints
from tests.dist.installed import Installed, installed
from tests.dist.matrix import AIRFLOWS

pytestmark = pytest.mark.dist

EXAMPLES = ROOT / "example_dags"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def there(built: Built) -> Iterator[Installed]:
    with installed(built.wheel) as place:
        yield place


def test_the_distributions_hold_what_they_should(built: Built) -> None:
    assert list(complaints(built)) == []


def test_the_wheel_alone_is_a_provider(there: Installed) -> None:
    assert Path(__file__).parents[2] not in there.package.parents
    there.provider_is_listed()


def test_the_wheel_alone_has_every_example(there: Installed) -> None:
    dags = re.findall(
        r"""(?:DAG\(\s*|dag_id=|DAG_ID = )"(twilio_\w+)""",
        "".join(map(Path.read_text, EXAMPLES.glob("*.py"))),
    )
    assert set(dags) == set(there.examples())


def test_the_wheel_alone_is_an_emulator(there: Installed) -> None:
    there.emulator_answers()


def test_the_wheel_alone_texts_25_000_people(there: Installed) -> None:
    assert there.demo() == (
        "demo: recipients=25000 rejected=62 requests=3 operations=3 delivered=24138 undelivered=390 "
        "failed=170 unaddressable=240 duplicates=0 lost=0"
    )


@pytest.mark.parametrize("airflow", AIRFLOWS)
def test_an_airflow_keeps_every_version_that_it_has(airflow: str, built: Built, tmp_path: Path) -> None:
    place = Beside(airflow, tmp_path / "env")
    there = place.installed()
    assert there["apache-airflow"].startswith(f"{airflow}.")
    changes = place.changes(built.wheel)
    assert {DISTRIBUTION, "python-liquid", "phonenumbers", "pyarrow"} <= set(changes)
    assert {name: version for name, version in changes.items() if name in there} == {}


def test_every_extra_is_installed() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    extras = pyproject.partition("[project.optional-dependencies]\n")[2].partition("\n\n")[0]
    assert EXTRAS.split(",") == sorted(line.partition(" = ")[0] for line in extras.splitlines())
