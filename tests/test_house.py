"""The rules of the house: what may import what, what is public, and that files and descriptions agree."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import pickle
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk import BaseHook, BaseNotifier, BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.triggers.base import BaseTrigger
from packaging.utils import canonicalize_name

import airflow_provider_twilio_comms
from airflow_provider_twilio_comms import exceptions
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError
from airflow_provider_twilio_comms.provider_info import get_provider_info

ROOT = Path(__file__).resolve().parent.parent
NAME = "airflow_provider_twilio_comms"
PACKAGE = ROOT / NAME
# Modules that only Airflow 3.3 can import.
LATER = ("plugins/webhooks/store.py", "triggers/_shared_stream.py")
EARLY = importlib.util.find_spec("airflow.triggers.shared_stream") is None
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if not (EARLY and path.as_posix().endswith(LATER))]
DISTRIBUTION = "airflow-provider-twilio-comms"
AIRFLOW_FACING = (
    "operators",
    "sensors",
    "triggers",
    "hooks",
    "links",
    "notifications",
    "transfers",
    "decorators",
    "plugins",
)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [module_of(path) for path in FILES]


def below(*folders: str) -> list[str]:
    return [name for name in MODULES if name.split(".")[1:2] and name.split(".")[1] in folders]


def loaded_by(modules: list[str], *watched: str) -> set[str]:
    """Which of the watched packages a fresh Python has loaded after importing these modules."""
    program = (
        f"import sys\nfor name in {modules!r}: __import__(name)\n"
        f"print(*({set(watched)!r} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_api_is_pure() -> None:
    assert loaded_by(below("api"), "airflow", "requests", "aiohttp", "tenacity", "asyncio") == set()


def test_what_sends_knows_no_airflow() -> None:
    assert loaded_by(below("sending", "client", "upkeep"), "airflow", "requests", "aiohttp") == set()


def test_importing_what_a_dag_file_imports_loads_no_http_library() -> None:
    facing = below(*AIRFLOW_FACING)
    assert f"{NAME}.operators.messages" in facing
    assert loaded_by(facing, "requests", "aiohttp", "phonenumbers", "pyarrow", "starlette", "liquid") == set()


# Who may import whom, besides those below them and outside: a module of a layer imports only from these.
LAYERS: dict[str, set[str]] = {
    "exceptions": set(),
    "api": {"exceptions"},
    "client": {"api", "exceptions"},
    "sending": {"client", "api", "exceptions"},
    "upkeep": {"sending", "client", "api", "exceptions"},
    "hooks": {"client", "api", "exceptions"},
    "triggers": {"hooks", "sending", "upkeep", "client", "api", "exceptions"},
    "links": {"sending"},
    "operators": {"triggers", "hooks", "links", "sending", "upkeep", "client", "api", "exceptions"},
    "plugins": {"hooks", "sending", "client", "api", "exceptions"},
    "provider_info": set(),
    "emulator": {"api", "exceptions"},
}
LAYERS["sensors"] = LAYERS["notifications"] = LAYERS["transfers"] = LAYERS["operators"] | {"operators"}
LAYERS["decorators"] = LAYERS["transfers"]


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it; lazy imports and those for types included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_one_way(path: Path) -> None:
    layer = f"{module_of(path)}.".split(".")[1]
    if layer in ("", "demo"):
        return
    own = {name.split(".")[1] for name in imports_of(path) if name.startswith(f"{NAME}.")}
    assert own - {layer, "__version__"} <= LAYERS[layer], "imports of other layers"
    foreign = {name.split(".")[0] for name in imports_of(path)}
    if layer not in AIRFLOW_FACING:
        assert "airflow" not in foreign
    module = module_of(path).removeprefix(f"{NAME}.")
    assert "requests" not in foreign or module == "client.sync"
    assert "aiohttp" not in foreign or module == "client.aio"
    assert "phonenumbers" not in foreign or layer in ("sending", "emulator")


def test_only_the_demo_and_the_emulators_own_command_import_the_emulator() -> None:
    users = {
        module_of(path).split(".")[1]
        for path in FILES
        if any(name.startswith((f"{NAME}.emulator", f"{NAME}.demo")) for name in imports_of(path))
    }
    assert users <= {"demo", "emulator"}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_the_public_names_of_a_module_are_all_listed_and_sorted(path: Path) -> None:
    module, tree = importlib.import_module(module_of(path)), ast.parse(path.read_text())
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    public = {name for name in defined if not name.startswith("_")}
    listed = list(getattr(module, "__all__", []))
    kinds = sorted(listed, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))
    assert listed == kinds
    assert len(listed) == len(set(listed))
    assert all(hasattr(module, name) for name in listed)
    if path.relative_to(PACKAGE).parts[0] not in ("emulator", "demo"):  # handlers register themselves there
        assert public <= set(listed)


@pytest.mark.parametrize("folder", ["airflow_provider_twilio_comms", "tests", "example_dags"])
def test_a_file_is_read_in_five_minutes(folder: str) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > 300} == {}


def classes(kind: type[Any], *folders: str, only: str = "") -> list[type[Any]]:
    """The public classes of a kind, each where it is defined; those that others derive from left out.

    ``only`` names the one module whose classes count, bases or not.
    """
    found = []
    for name in below(*folders):
        module = importlib.import_module(name)
        for each in getattr(module, "__all__", []):
            value = getattr(module, each)
            if isinstance(value, type) and kind in value.__mro__ and value.__module__ == name:
                found.append(value)
    if only:
        return [value for value in found if value.__module__ == only]
    return [value for value in found if not any(value in other.__mro__[1:] for other in found)]


def listed(section: str) -> set[str]:
    return {module for entry in get_provider_info().get(section, []) for module in entry["python-modules"]}


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("operators", BaseOperator),
        ("sensors", BaseSensorOperator),
        ("hooks", BaseHook),
        ("triggers", BaseTrigger),
    ],
)
def test_the_provider_lists_every_module_of_a_kind(section: str, kind: type[Any]) -> None:
    there = {value.__module__ for value in classes(kind, section)}
    assert there
    # An operator that is for use may be another's base as well.
    assert there <= listed(section) <= {name for name in below(section) if classes(kind, section, only=name)}


def test_the_provider_names_what_exists() -> None:
    info = get_provider_info()
    (connection,) = info["connection-types"]
    for path in (connection["hook-class-name"], *info["extra-links"]):
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)
    links = {f"{link.__module__}.{link.__name__}" for link in classes(BaseOperatorLink, "links")}
    assert set(info["extra-links"]) == links
    notifiers = {f"{each.__module__}.{each.__name__}" for each in classes(BaseNotifier, "notifications")}
    assert set(info["notifications"]) == notifiers
    hook = importlib.import_module(f"{NAME}.hooks.twilio").TwilioHook
    assert (hook.conn_type, hook.hook_name) == (connection["connection-type"], connection["hook-name"])
    integrations = {each["integration-name"] for each in info["integrations"]}
    for section in ("operators", "sensors", "hooks", "triggers"):
        assert {entry["integration-name"] for entry in info[section]} <= integrations


def test_the_provider_information_is_as_airflow_wants_it() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_connection_form_names_every_field_that_is_read() -> None:
    from airflow_provider_twilio_comms.client.config import _READERS

    (connection,) = get_provider_info()["connection-types"]
    assert set(connection["conn-fields"]) == set(_READERS)
    for field in connection["conn-fields"].values():
        assert field["description"].endswith((".", "..."))
        jsonschema.Draft202012Validator.check_schema(field["schema"])


def test_airflow_lists_the_provider() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    assert DISTRIBUTION in manager.providers
    assert manager.providers[DISTRIBUTION].version == airflow_provider_twilio_comms.__version__


def test_the_distribution_is_what_it_says() -> None:
    metadata = importlib.metadata.metadata(DISTRIBUTION)
    assert canonicalize_name(metadata["Name"]) == get_provider_info()["package-name"] == DISTRIBUTION
    assert metadata["Version"] == airflow_provider_twilio_comms.__version__
    points = importlib.metadata.distribution(DISTRIBUTION).entry_points
    assert {point.group for point in points} >= {"apache_airflow_provider"}
    for point in points:
        assert callable(point.load()) or inspect.ismodule(point.load()), point
    declared = re.findall(rf'= "({NAME}[\w.]*:?\w*)"', (ROOT / "pyproject.toml").read_text())
    assert {point.value for point in points} == set(declared)
    assert (PACKAGE / "py.typed").is_file()


TASKS = [*classes(BaseOperator, "operators"), *classes(BaseSensorOperator, "sensors")]


@pytest.mark.parametrize("task", TASKS)
def test_template_fields_are_arguments(task: type[Any]) -> None:
    arguments: set[str] = set()
    for each in task.__mro__:
        if each.__module__.startswith(NAME) and "__init__" in vars(each):
            arguments |= set(inspect.signature(vars(each)["__init__"]).parameters)
    assert set(task.template_fields) <= arguments
    assert "twilio_conn_id" in task.template_fields
    assert (task.__doc__ or "").strip()


def errors() -> Iterator[type[TwilioError]]:
    for name in exceptions.__all__:
        value = getattr(exceptions, name)
        if isinstance(value, type):
            yield value


@pytest.mark.parametrize("kind", list(errors()))
def test_an_error_travels(kind: type[TwilioError]) -> None:
    values = {name: ["x"] if name.endswith("ids") else name for name in kind.fields}
    error = kind("what happened", **values)
    told = json.loads(json.dumps(error.to_dict()))
    for again in (TwilioError.from_dict(told), pickle.loads(pickle.dumps(error))):
        assert type(again) is kind
        assert (str(again), again.to_dict()) == ("what happened", error.to_dict())
        assert all(getattr(again, name) == value for name, value in values.items())
    assert re.search(rf"\b{kind.__name__}\b", exceptions.__doc__ or "")


def test_an_error_of_a_newer_version_is_read_as_far_as_it_is_known() -> None:
    later = {"type": "Invented", "message": "m", "field": "x"}
    assert type(TwilioError.from_dict(later)) is TwilioError
    known = TwilioError.from_dict({"type": "InvalidInput", "message": "m", "field": "x", "new": 1})
    assert isinstance(known, InvalidInput)
    assert (known.field, known.row) == ("x", None)
    assert str(TwilioError.from_dict({})) == ""


def test_every_package_is_found() -> None:
    found = {each.name for each in pkgutil.walk_packages([str(PACKAGE)], f"{NAME}.")}
    assert found >= {name for name in MODULES if name != NAME}
