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
LATER = ("retry_policy.py", "plugins/webhooks/store.py", "triggers/_shared_stream.py")
EARLY = importlib.util.find_spec("airflow.triggers.shared_stream") is None
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if not (EARLY and path.as_posix().endswith(LATER))]
DISTRIBUTION = "airflow-provider-twilio-comms"
# Folders named after a kind of Airflow's: what is not private in them is in the provider's information.
KINDS = ("hooks", "links", "triggers", "operators", "sensors", "notifications", "transfers", "decorators")
LIMIT = 500  # lines of a module

# The layers, the lowest first. A module imports from the layers below its own, and from its own folder.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("exceptions", "provider_info"),
    ("api",),
    ("client",),
    ("_core",),
    ("hooks", "links", "retry_policy"),
    ("triggers",),
    ("_tasks",),
    ("operators", "sensors", "notifications", "queues"),
    ("transfers", "decorators"),
    ("plugins",),
)
# What the emulator knows of the package; nothing but the demo, and tests, imports it.
APART = {
    "emulator": {"exceptions", "api"},
    "demo": {"emulator", *(name for row in LAYERS for name in row)},
    "conformance": {"exceptions", "api", "client", "hooks"},
}
# Libraries that only some modules import, wherever in the file; every other library is for all.
ONLY_IN = {
    "requests": ("client.sync", "demo"),
    "aiohttp": ("client.aio",),
    "phonenumbers": ("_core.recipients.phone_numbers", "emulator"),
    "holidays": ("_core.campaigns.local_time",),
    "scipy": ("_core.campaigns.comparison",),
    "airflow": (
        "hooks",
        "links",
        "retry_policy",
        "triggers",
        "_tasks",
        *LAYERS[-3],
        *LAYERS[-2],
        "plugins",
        "demo",
    ),
    "starlette": ("plugins", "emulator"),
    "fastapi": ("plugins",),
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [module_of(path) for path in FILES]


def below(*folders: str) -> list[str]:
    return [name for name in MODULES if name.split(".")[1:2] and name.split(".")[1] in folders]


def loaded_by(modules: list[str], *watched: str) -> set[str]:
    """List which of the watched packages a fresh Python has loaded after importing these modules."""
    program = (
        f"import sys\nfor name in {modules!r}: __import__(name)\n"
        f"print(*({set(watched)!r} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_api_is_pure() -> None:
    assert loaded_by(below("api"), "airflow", "requests", "aiohttp", "tenacity", "asyncio") == set()


def test_the_domain_knows_no_airflow() -> None:
    assert loaded_by(below("_core", "client"), "airflow", "requests", "aiohttp") == set()


def test_importing_what_a_dag_file_imports_loads_no_http_library() -> None:
    facing = below(*KINDS, "plugins")
    assert f"{NAME}.operators.bulk_messages" in facing
    assert loaded_by(facing, "requests", "aiohttp", "phonenumbers", "pyarrow", "starlette", "liquid") == set()


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it; lazy imports and those for types included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def may_import(layer: str) -> set[str]:
    """The folders and files of the package that a layer may import from, besides its own."""
    if layer in APART:
        return APART[layer]
    height = next(number for number, row in enumerate(LAYERS) if layer in row)
    return {name for row in LAYERS[:height] for name in row}


def test_every_folder_has_a_layer() -> None:
    there = {module_of(path).split(".")[1] for path in PACKAGE.rglob("*.py") if module_of(path) != NAME}
    assert there == {name for row in LAYERS for name in row} | set(APART)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_one_way(path: Path) -> None:
    module = module_of(path).removeprefix(NAME).removeprefix(".")
    if not module:
        return
    layer = module.split(".")[0]
    names = list(imports_of(path))
    own = {name.split(".")[1] for name in names if name.startswith(f"{NAME}.")}
    assert own - {layer, "__version__"} <= may_import(layer), "imports of other layers"
    for library in {name.split(".")[0] for name in names} & ONLY_IN.keys():
        allowed = ONLY_IN[library]
        assert any(module == each or module.startswith(f"{each}.") for each in allowed), f"imports {library}"


def test_no_imports_go_in_a_circle() -> None:
    """Those for types and those within functions included."""
    known = set(MODULES)

    def target(name: str) -> str:
        return name if name in known else name.rpartition(".")[0]

    graph = {module_of(path): {target(name) for name in imports_of(path)} & known for path in FILES}
    graph = {name: set(targets) - {name} for name, targets in graph.items()}
    while free := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - free for name, targets in graph.items() if name not in free}
    # What is left imports, or is imported by, a circle; what nobody of it imports is not in it.
    while outer := graph.keys() - {each for targets in graph.values() for each in targets}:
        graph = {name: targets for name, targets in graph.items() if name not in outer}
    assert graph == {}


def provided() -> set[str]:
    """Every module that the provider's information names."""
    text = json.dumps(get_provider_info())
    return set(re.findall(rf"{NAME}(?:\.\w+)+", text))


@pytest.mark.parametrize("folder", KINDS)
def test_a_module_of_a_kind_is_private_or_provided(folder: str) -> None:
    named = provided()
    public = {name for name in below(folder) if name.count(".") > 1 and "._" not in name}
    assert public
    assert {
        name for name in public if not any(each == name or each.startswith(f"{name}.") for each in named)
    } == set()


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
    if re.search(r"\._(?!_)", module_of(path)):  # all that is in a private module is private
        assert not listed
        return
    kinds = sorted(listed, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))
    assert listed == kinds
    assert len(listed) == len(set(listed))
    assert all(hasattr(module, name) for name in listed)
    if path.relative_to(PACKAGE).parts[0] not in ("emulator", "demo"):  # handlers register themselves there
        assert public <= set(listed)


@pytest.mark.parametrize("folder", ["airflow_provider_twilio_comms", "tests", "example_dags", "docs"])
def test_a_file_is_read_in_five_minutes(folder: str) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > LIMIT} == {}


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=lambda path: path.name)
def test_a_folder_is_looked_over_at_a_glance(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) - 1 <= 20


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
    assert "twilio_conn_id" in task.template_fields or "twilio_conn_id" not in arguments
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
