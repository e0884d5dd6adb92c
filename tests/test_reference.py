"""The README's reference: every call, with an operator that exists and Twilio's own page."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

from airflow_provider_twilio_comms.operators.call import MODULES
from airflow_provider_twilio_comms.provider_info import get_provider_info

README = (Path(__file__).parent.parent / "README.md").read_text()
ROWS = re.findall(r"^\| `([\w.]+)` \| `(\w+ \S+)` \| (.*?) \| \[.*?\]\((\S+)\) \|$", README, re.M)
API = "airflow_provider_twilio_comms.api"


def calls() -> set[str]:
    """Every function that describes a request."""
    found = set()
    for name in MODULES:
        module = importlib.import_module(f"{API}.{name}")
        for each in module.__all__:
            function = getattr(module, each)
            if inspect.isfunction(function) and re.search(
                r"``(GET|POST|PUT|PATCH|DELETE) ", function.__doc__ or ""
            ):
                found.add(f"{name}.{each}")
    return found


def test_every_call_has_one_row() -> None:
    assert sorted(row[0] for row in ROWS) == sorted(calls())


def test_the_operators_exist_and_none_is_missing() -> None:
    named = set(re.findall(r"`(Twilio\w+(?:Operator|Sensor))`", README))
    existing, info = set(), get_provider_info()
    paths = [
        path for kind in ("operators", "sensors") for entry in info[kind] for path in entry["python-modules"]
    ]
    for path in (*paths, *(entry["python-module"] for entry in info["transfers"])):
        names = importlib.import_module(path).__all__
        existing |= {name for name in names if re.fullmatch(r"Twilio\w+(Operator|Sensor)", name)}
    assert named <= existing
    assert existing - named <= {"TwilioListOperator", "TwilioOperator", "TwilioSensor"}  # bases


def test_the_request_is_the_docstring_s() -> None:
    for name, request, _, _ in ROWS:
        module, _, function = name.rpartition(".")
        doc = inspect.getdoc(getattr(importlib.import_module(f"{API}.{module}"), function)) or ""
        assert request.replace(" .../", " /2010-04-01/Accounts/{AccountSid}/") in doc or request in doc, name


def test_the_page_is_the_one_the_code_cites() -> None:
    for name, _, _, page in ROWS:
        assert page in inspect.getsource(importlib.import_module(f"{API}.{name.rpartition('.')[0]}")), name
