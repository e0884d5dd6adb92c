"""Code blocks of the documentation run, or at least parse."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import airflow.sdk
import pytest
import yaml
from airflow.sdk import DAG

from airflow_provider_twilio_comms.provider_info import get_provider_info
from tests.conftest import environment
from tests.dist.build import NAME, VERSION
from tests.docs.blocks import PAGES, ROOT, Block, blocks
from tests.warehouse import SECRET

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

# Airflow has retry policies from 3.3 on, and a store that holds the moment from which a ladder counts.
NEW = ("retry_policy import", "spread_over=", "send_at_local=")
LATER = () if hasattr(airflow.sdk, "RetryPolicy") else NEW
PYTHON = [block for block in blocks("python", "py") if not any(imported in block.text for imported in LATER)]
DAGS = [block for block in PYTHON if re.search(r"^with DAG\(", block.text, re.M) and block.only != "parsed"]
BOOKINGS = "phone,name,time\n+12025550101,Ines,19:30\n+12025550102,,20:00\n"
LANGUAGES = {"python", "py", "bash", "json", "ini", "sql", "text", "dockerfile", "yaml", "csv", ""}


def test_every_block_is_in_a_language_that_is_looked_at() -> None:
    assert len(PYTHON) > 15
    assert {block.language for block in blocks()} <= LANGUAGES


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles_and_what_it_imports_exists(block: Block) -> None:
    tree = compile(block.text, str(block), "exec", ast.PyCF_ONLY_AST)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import)]
    exec(compile(ast.Module(imports, []), str(block), "exec"), {})


@pytest.mark.parametrize("block", [each for each in PYTHON if each not in DAGS and not each.only], ids=str)
def test_what_is_no_dag_runs_by_itself(block: Block) -> None:
    exec(compile(block.text, str(block), "exec"), {})


def imported(block: Block, folder: Path) -> list[DAG]:
    """The DAGs of a block, whose object storage is a folder here."""
    made: list[DAG] = []

    class Kept(DAG):
        def __enter__(self) -> DAG:
            made.append(self)
            return super().__enter__()

    text = re.sub(r's3://aws_default@\w+/[^"]*\.csv', str(folder / "bookings" / "people.csv"), block.text)
    text = re.sub(r's3://aws_default@(\w+)/[^"]*', rf"{folder}/\1", text)
    code = re.sub(r"^(from airflow\.sdk import .*)\bDAG\b", r"\1DAG as _", text, flags=re.M)
    assert code != text
    file = folder / f"{Path(block.page).stem}_{block.line}.py"  # Airflow keeps a DAG's source
    file.write_text(code)
    for data in blocks("csv"):
        (folder / Path(data.title).name).write_text(data.text)
    exec(compile(code, str(file), "exec"), {"DAG": Kept, "__file__": str(file)})
    return made


@pytest.mark.parametrize("block", DAGS, ids=str)
def test_a_dag_runs(
    block: Block, emulator: Running, run_dag: Callable[..., DagRun], tmp_path: Path, request: Any
) -> None:
    emulator.twilio.change(pace=0.2)
    (tmp_path / "bookings").mkdir()
    (tmp_path / "bookings" / "people.csv").write_text(BOOKINGS)
    if "sql_conn_id" in block.text:
        tables(request.getfixturevalue("postgres"))
    connection = emulator.connection_json(default_sender="+15005550006", hash_secret=SECRET)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=connection):
        made = imported(block, tmp_path)
        assert made
        for dag in made:
            if block.only == "imported":
                continue
            for task in dag.tasks:
                for name, value in {"initial_delay": 0, "poll_interval": 0.2, "poke_interval": 0.2}.items():
                    if hasattr(task, name):
                        setattr(task, name, value)
            run = run_dag(dag)
            states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
            assert set(states.values()) == {"success"}, states
    if re.search(r"(MessageOperator|ToTwilioOperator)\(|@task\.twilio_message", block.text):
        assert emulator.twilio.ledger.messages
        assert emulator.twilio.ledger.to_dict()["twice"] == 0


def tables(postgres: Postgres) -> None:
    """Create the tables of the example."""
    postgres.execute((ROOT / "example_dags" / "data" / "bookings.sql").read_text())


def test_the_fence_of_a_dag_that_is_not_run_says_why() -> None:
    kept = [block for block in PYTHON if block.only]
    assert {block.only for block in kept} <= {"imported", "parsed"}
    assert len(kept) <= 4


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_sql_is_understood(block: Block, postgres: Postgres) -> None:
    tables(postgres)
    postgres.execute("CREATE EXTENSION IF NOT EXISTS pgcrypto")
    postgres.execute("CREATE TABLE IF NOT EXISTS sms_receipts (recipient text, verdict text)")
    postgres.execute(f"EXPLAIN {block.text}")


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_parses(block: Block) -> None:
    assert json.loads(block.text)


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_configuration_has_options_that_exist(block: Block) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(block.text)
    known = get_provider_info()["config"]
    for section in parser.sections():
        assert set(parser[section]) <= set(known[section]["options"])


TARGETS = set(re.findall(r"^([a-z][a-z0-9.-]*):.*##", (ROOT / "Makefile").read_text(), re.M))
LINES = [
    (block, line)
    for block in blocks("bash")
    for line in block.text.splitlines()
    if line.strip() and not line.startswith("#")
]


@pytest.mark.parametrize(("block", "line"), LINES, ids=lambda value: str(value)[:60])
def test_a_shell_line_names_what_exists(block: Block, line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    known = {"make", "python", "pip", "airflow", "curl", "export"}
    assert program in known, f"{block}: {program}"
    globals()[f"_{program}"](arguments)


def _make(arguments: list[str]) -> None:
    assert arguments[0] in TARGETS


def _python(arguments: list[str]) -> None:
    assert arguments[0] == "-m"
    assert importlib.util.find_spec(f"{arguments[1]}.__main__")
    if arguments[1].endswith(".emulator"):
        from airflow_provider_twilio_comms.emulator.__main__ import _arguments

        _arguments(arguments[2:])


def _pip(arguments: list[str]) -> None:
    assert arguments[0] in {"install", "wheel"}
    for name in arguments:
        assert not name.endswith("constraints.txt"), "it would replace the Airflow of whoever reads this"
        _package(name)


def _package(name: str) -> None:
    """The wheel that a page names is the one that is built, and has the extra."""
    if found := re.search(r"[\w.-]+\.whl", name):
        assert found[0] == f"{NAME}-{VERSION}-py3-none-any.whl"
        if extra := re.search(r"\[(\w+)\]", name):
            assert f"{extra[1]} = [" in (ROOT / "pyproject.toml").read_text()


def test_the_install_page_lists_every_extra() -> None:
    declared = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
    extras = re.findall(r"^(\w+) = ", declared.partition("\n[")[0], re.M)
    table = (ROOT / "docs" / "install.md").read_text().partition("| extra |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", table, re.M)) == sorted(extras)


@pytest.mark.parametrize("block", blocks("dockerfile"), ids=str)
def test_an_image_installs_the_wheel_that_is_built(block: Block) -> None:
    assert re.match(r"FROM \S+:3\.[23]\S*\n", block.text)
    lines = block.text.splitlines()
    assert {line.split()[0] for line in lines} <= {"FROM", "COPY", "RUN"}
    assert any(".whl" in line for line in lines)
    for word in " ".join(lines).split():
        _package(word)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_parses(block: Block) -> None:
    assert yaml.safe_load(block.text)


def test_a_requirements_file_names_airflows_constraints_and_the_wheel() -> None:
    (block,) = [each for each in blocks("text") if each.title == "requirements.txt"]
    assert "raw.githubusercontent.com/apache/airflow/constraints-" in block.text
    for line in block.text.splitlines():
        _package(line)


def test_no_page_for_users_suggests_our_constraints() -> None:
    """Somebody's Airflow would be replaced by ours: only what to do in a clone names the file."""
    for path in PAGES:
        if path.name not in ("CONTRIBUTING.md", "install.md"):
            assert "constraints.txt" not in path.read_text(), path.name


def _airflow(arguments: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    get_parser().parse_args(arguments)


def _export(arguments: list[str]) -> None:
    (assignment,) = arguments
    name, _, value = assignment.partition("=")
    assert name == "AIRFLOW_CONN_TWILIO_DEFAULT"
    (connection,) = get_provider_info()["connection-types"]
    assert set(json.loads(value)["extra"]) <= set(connection["conn-fields"])


def _curl(arguments: list[str]) -> None:
    from airflow_provider_twilio_comms.emulator import control
    from airflow_provider_twilio_comms.emulator.twilio import Twilio

    (address,) = [each for each in arguments if each.startswith("http")]
    path = address.removeprefix("http://127.0.0.1:8025")
    method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "GET"
    assert any(route.path == path and method in (route.methods or ()) for route in control.routes(Twilio()))
    if "-d" in arguments:
        json.loads(arguments[arguments.index("-d") + 1])
