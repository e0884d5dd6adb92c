"""The reference describes every public class, argument, call and option as the code has it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_twilio_comms.operators.api_request import MODULES
from airflow_provider_twilio_comms.provider_info import get_provider_info
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator

if importlib.util.find_spec("griffe") is None:
    pytest.skip("the documentation's tools are not installed (group docs)", allow_module_level=True)

from docs.hooks.docstrings import markdown
from docs.hooks.examples import with_imports
from docs.hooks.found import KINDS, arguments, calls, classes, functions
from docs.hooks.generated import PAGES
from docs.hooks.reach import NAME, reached
from docs.hooks.tasks import FAMILIES

API = f"{NAME}.api"
ALL = [each for kind in KINDS for each in classes(kind)]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {path: made() for path, made in PAGES.items()}


def test_every_module_that_the_provider_names_is_there() -> None:
    info = get_provider_info()
    named = {name for kind in KINDS for entry in info.get(kind, ()) for name in modules_of(entry)}
    assert named - {each.__module__ for each in ALL} == set()
    (decorator,) = info["task-decorators"]
    assert decorator["class-name"] in {
        f"{each.__module__}.{each.__name__}" for kind in KINDS for each in functions(kind)
    }


def modules_of(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry.rpartition(".")[0]]
    assert isinstance(entry, dict)
    return list(entry.get("python-modules") or [entry["python-module"]])


def test_every_public_class_of_a_listed_module_is_there() -> None:
    there = {each.__name__ for each in ALL}
    for module in {each.__module__ for each in ALL}:
        for name in importlib.import_module(module).__all__:
            if name.startswith("Twilio"):
                assert name in there


def test_every_class_and_function_is_on_a_page(pages: dict[str, str]) -> None:
    text = "".join(pages.values())
    for each in (*ALL, *(function for kind in KINDS for function in functions(kind))):
        assert f"::: {each.__module__}.{each.__name__}\n" in text


def test_every_class_and_function_shows_its_import(pages: dict[str, str]) -> None:
    text = "".join(pages.values())
    named = [*ALL, *(each for kind in KINDS if kind != "decorators" for each in functions(kind))]
    for each in named:
        if each not in classes("decorators"):
            assert f"\nfrom {each.__module__} import {each.__name__}\n" in text


@pytest.mark.parametrize("cls", ALL)
def test_an_example_imports_what_it_names(cls: type) -> None:
    for code in re.findall(
        r"^```python\n(.*?)^```", with_imports(markdown(inspect.getdoc(cls) or "")), re.M | re.S
    ):
        assert f"from {cls.__module__} import {cls.__name__}\n" in code
        imports = [each for each in ast.parse(code).body if isinstance(each, ast.ImportFrom)]
        exec(compile(ast.Module(list(imports), []), cls.__name__, "exec"), {})


def test_a_family_begins_with_a_summary(pages: dict[str, str]) -> None:
    shown = []
    for path in FAMILIES:
        text = pages[f"reference/{path}.md"]
        before, _, entries = text.partition("\n::: ")
        shown += re.findall(r"^\| \[`(\w+)`\]", before, re.M)
        assert len(re.findall(r"^::: ", f"::: {entries}", re.M)) == len(re.findall(r"^\| \[", before, re.M))
    assert sorted(shown) == sorted(each.__name__ for each in (*classes("operators"), *functions("operators")))
    listed = re.findall(r"^\| \[`(\w+)`\]", pages["reference/operators.md"], re.M)
    assert sorted(listed) == sorted(shown)


def test_a_family_is_named_for_every_module_of_operators() -> None:
    named = [module for _, _, modules in FAMILIES.values() for module in modules]
    found = {each.__module__.rpartition(".")[2] for each in (*classes("operators"), *functions("operators"))}
    assert sorted(named) == sorted(found)


def test_the_table_of_counterparts_names_arguments_that_exist(pages: dict[str, str]) -> None:
    head, *rows = re.findall(r"^\| .*$", pages["reference/arguments.md"].partition("\n## Every")[0], re.M)
    names = re.findall(r"`(\w+)`", head)
    known = {cls.__name__: cls for cls in (*ALL, *classes("notifications"))}
    for row in rows:
        for name, cell in zip(names, row.split("|")[2:-1], strict=True):
            for argument in re.findall(r"(?:^|, )`(\w+)`", cell.strip()):
                taken = {each for cls in known[name].__mro__ for each in inspect.signature(cls).parameters}
                assert argument in taken, (name, argument)


def test_an_argument_is_described_once_and_linked_from_every_other_entry(pages: dict[str, str]) -> None:
    text = "".join(page for path, page in pages.items() if "notifier" not in path)
    for name in ("quiet_hours", "suppress", "max_cost", "on_backfill", "recipients_per_request"):
        (described,) = re.findall(rf"^\| `{name}`{{ #([\w-]+) }} \|", text, re.M)
        assert not re.search(rf"^\| `{name}` \|", text, re.M)
        takes = [cls for cls in ALL if name in {each for each, *_ in arguments(cls)}]
        assert text.count(f"#{described})") >= len(takes) - 1 > 2


def test_every_link_to_a_shared_argument_leads_somewhere(pages: dict[str, str]) -> None:
    for text in pages.values():
        for page, anchor in re.findall(r"\]\(([\w-]+\.md)#((?:task|send|bulk)-\w+)\)", text):
            assert f"{{ #{anchor} }}" in pages[f"reference/{page}"]


def test_the_table_of_names_holds_arguments_that_exist(pages: dict[str, str]) -> None:
    table = pages["reference/arguments.md"].partition("## Bulk, single, sensor")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*)\|$", table, re.M)
    head, *lines = [[cell.strip() for cell in row.split("|")] for row in rows]
    by_name = {each.__name__: each for each in (*ALL, *classes("notifications"))}
    owners = [by_name[re.findall(r"`(Twilio\w+)`", cell)[0]] for cell in head[1:]]
    airflows = {"timeout", "poke_interval"}
    for line in lines:
        for owner, cell in zip(owners, line[1:], strict=False):
            named = set(re.findall(r"(?:^|, )`([a-z_]+)`", cell))
            assert named <= {each for each, *_ in arguments(owner)} | airflows, (owner.__name__, cell)


def test_links_to_the_code_name_what_exists(pages: dict[str, str]) -> None:
    targets = {target for text in pages.values() for target in re.findall(rf"\]\[({NAME}[\w.]+)\]", text)}
    assert len(targets) > 50
    for target in targets:
        module, _, name = target.rpartition(".")
        assert hasattr(importlib.import_module(module), name), target


@pytest.mark.parametrize("cls", ALL)
def test_every_argument_has_a_meaning(cls: type) -> None:
    assert [name for name, _, _, meaning in arguments(cls) if not meaning] == []


def test_choices_are_written_out() -> None:
    kinds: dict[str, str] = {}
    for cls in sorted(ALL, key=lambda each: each.__name__):  # the bulk operator's before the sensors'
        for name, kind, *_ in arguments(cls):
            kinds.setdefault(name, kind)
    assert kinds["wait_for"] == "Literal['accepted', 'processed', 'delivered']"
    assert kinds["redact"] == "Literal['none', 'numbers', 'text', 'all']"


@pytest.mark.parametrize("cls", ALL)
def test_the_example_of_a_class_parses(cls: type) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", markdown(inspect.getdoc(cls) or ""), re.M | re.S):
        ast.parse(code)


def test_examples_of_classes_are_found() -> None:
    shown = [cls for cls in ALL if "```python" in markdown(inspect.getdoc(cls) or "")]
    assert len(shown) > 15


def test_defaults_that_a_class_changes_are_the_real_ones() -> None:
    given = {"task_id": "t", "content": "x", "dag": None}
    made: dict[str, BaseOperator] = {
        "SqlToTwilioOperator": SqlToTwilioOperator(sql="SELECT 1", sql_conn_id="c", **given),
        "ObjectStorageToTwilioOperator": ObjectStorageToTwilioOperator(path="p", **given),
    }
    for module, name, more in (
        ("operators.preflight", "TwilioPreflightOperator", {"recipients": ()}),
        ("operators.resend_failed", "TwilioResendFailedOperator", {"receipts": "r"}),
        ("operators.bulk_messages", "TwilioBulkMessageOperator", {"recipients": ()}),
    ):
        made[name] = getattr(importlib.import_module(f"{NAME}.{module}"), name)(**more, **given)
    for name, task in made.items():
        told = {each: default for each, _, default, _ in arguments(type(task))}
        for argument in ("on_backfill", "on_duplicate", "on_empty", "on_invalid_recipient", "number_column"):
            assert told[argument] == f"`{getattr(task, argument)!r}`", (name, argument)
    assert "recipients" not in {each for each, *_ in arguments(SqlToTwilioOperator)}


def test_every_call_has_one_row_and_a_description(pages: dict[str, str]) -> None:
    described = set()
    for module in MODULES:
        for name in importlib.import_module(f"{API}.{module}").__all__:
            function = getattr(importlib.import_module(f"{API}.{module}"), name)
            if inspect.isfunction(function) and re.search(
                r"``(GET|POST|PUT|PATCH|DELETE) ", function.__doc__ or ""
            ):
                described.add(f"{module}.{name}")
    listed = {call.name for call in calls()}
    assert described <= listed
    assert listed - described == {"oauth.token"}
    rows = re.findall(r"^\| `\w+ \S+` \| \[`([\w.]+)`\]", pages["reference/coverage.md"], re.M)
    assert sorted(rows) == sorted(listed)
    text = pages["reference/calls-classic.md"] + pages["reference/calls-comms.md"]
    text += pages["reference/calls-other.md"] + pages["reference/calls-people.md"]
    assert set(re.findall(rf"^::: {API}\.([\w.]+)$", text, re.M)) == {
        name.rpartition(".")[0] for name in listed
    }


def test_every_call_names_a_page_of_twilio_s() -> None:
    assert all(re.match(r"https://www\.twilio\.com/docs/", call.page) for call in calls())


@pytest.mark.parametrize(
    ("call", "makers"),
    [
        ("classic.incoming_numbers.release", {"TwilioReleaseNumberOperator"}),
        ("messaging.services.delete", {"TwilioDeleteMessagingServiceOperator"}),
        ("classic.messages.redact", {"TwilioRedactMessageOperator"}),
        ("classic.messages.send", {"TwilioSendMessageOperator", "TwilioApprovalOperator"}),
        ("comms.operations.list", {"TwilioOperationSensor"}),
        ("messaging.senders.create_alpha_sender", {"TwilioMessagingServiceOperator"}),
        ("content.create", {"TwilioContentTemplateOperator"}),
        ("content.update", set()),
    ],
)
def test_who_makes_a_call_is_read_from_the_source(call: str, makers: set[str]) -> None:
    module, _, name = call.rpartition(".")
    found = {
        each.__name__
        for each in (*classes("operators"), *classes("sensors"))
        if (f"{API}.{module}", name) in reached((each.__module__, each.__name__))
    }
    assert makers <= found
    if len(makers) < 2 and call != "comms.operations.list":
        assert found == makers


def test_every_field_option_metric_and_error_is_there(pages: dict[str, str]) -> None:
    info = get_provider_info()
    (connection,) = info["connection-types"]
    for name in (*connection["conn-fields"], *info["config"]["twilio"]["options"]):
        assert f"| `{name}` |" in pages["reference/connection.md"]
    from airflow_provider_twilio_comms import exceptions
    from airflow_provider_twilio_comms.hooks._metrics import METRICS

    for name in METRICS:
        assert f"| `{name}` |" in pages["reference/metrics.md"]
    for name in exceptions.__all__:
        if isinstance(getattr(exceptions, name), type):
            assert f"::: {NAME}.exceptions.{name}\n" in pages["reference/errors.md"]
