"""Serialized triggers, which Airflow stores in the clear: ids and numbers, and all of it comes back."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pkgutil
import time
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from airflow.executors import workloads
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.models.trigger import Trigger
from airflow.triggers.base import BaseTrigger

import airflow_provider_twilio_comms.triggers
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger
from tests.triggers.conftest import fired


def discovered() -> Iterator[type[BaseTrigger]]:
    package = airflow_provider_twilio_comms.triggers
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if found.name.endswith("._shared_stream"):
            continue  # no trigger, and nothing for Airflow 3.2
        for value in vars(importlib.import_module(found.name)).values():
            ours = isinstance(value, type) and value.__module__ == found.name
            if ours and issubclass(value, BaseTrigger) and not inspect.isabstract(value):
                yield value


TRIGGERS = list(discovered())


def example(hint: Any) -> Any:
    """A value of a type that is not its default."""
    if get_origin(hint) is Literal:
        return get_args(hint)[-1]
    kinds = get_args(hint) if get_origin(hint) is not list else ()
    for kind in (hint, *kinds):
        if get_origin(kind) is list and get_origin(get_args(kind)[0]) is Literal:
            return [*get_args(get_args(kind)[0])]
        if get_origin(kind) is list:
            return ["comms_operation_1", "comms_operation_2"]
        if get_origin(kind) is dict:
            return {"campaign": "spring"}
    for kind, value in ((bool, True), (float, 12.5), (int, 3), (str, "text")):
        if hint is kind or kind in kinds:
            return value
    raise AssertionError(f"an argument that Airflow cannot store as it is: {hint}")


def made(kind: type[BaseTrigger]) -> tuple[BaseTrigger, dict[str, Any]]:
    hints = get_type_hints(kind.__init__)
    given = {
        name: example(hints[name]) for name in inspect.signature(kind.__init__).parameters if name != "self"
    }
    return kind(**given), given


def plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(plain, value))
    if isinstance(value, dict):
        return all(map(plain, [*value, *value.values()]))
    return value is None or type(value) in (str, int, float, bool)


def test_there_are_triggers() -> None:
    assert TwilioOperationsTrigger in TRIGGERS


@pytest.mark.parametrize("kind", TRIGGERS)
def test_a_trigger_comes_back_as_it_was(kind: type[BaseTrigger]) -> None:
    trigger, given = made(kind)
    path, kwargs = trigger.serialize()
    assert path == f"{kind.__module__}.{kind.__qualname__}"
    assert kwargs == given
    again = kind(**kwargs)
    assert again.serialize() == trigger.serialize()
    assert kind(**json.loads(json.dumps(kwargs))).serialize() == trigger.serialize()


# As version 1.0.0 has stored them, where waits of a few days may have begun before an upgrade.
STORED: list[tuple[str, dict[str, Any]]] = [
    (
        "operations.TwilioOperationsTrigger",
        {
            "operation_ids": ["comms_operation_01h9krwprkeee8fzqspvwy6nq8"],
            "twilio_conn_id": "twilio_default",
            "until": "delivered",
            "deadline": 1795640400.5,
            "since": 1795554000.25,
            "enough": 0.98,
            "poll_interval": 30.0,
            "not_before": 1795554010.25,
        },
    ),
    (
        "messages.TwilioMessagesTrigger",
        {
            "sids": ["SM" + "1" * 32],
            "twilio_conn_id": "twilio_default",
            "until": "delivered",
            "deadline": 1795557600.0,
            "since": 1795554000.0,
            "poll_interval": 15.0,
            "not_before": 1795554010.0,
            "cancel_on_kill": True,
        },
    ),
    (
        "deactivations.TwilioDeactivationsTrigger",
        {
            "day": "2026-11-24",
            "twilio_conn_id": "twilio_default",
            "deadline": 1795557600.0,
            "poll_interval": 900.0,
            "not_before": 0.0,
        },
    ),
]


@pytest.mark.parametrize(("name", "kwargs"), STORED, ids=[name for name, _ in STORED])
def test_a_trigger_that_an_earlier_version_stored_is_understood(name: str, kwargs: dict[str, Any]) -> None:
    module, _, kind = f"{airflow_provider_twilio_comms.triggers.__name__}.{name}".rpartition(".")
    trigger = getattr(importlib.import_module(module), kind)(**kwargs)
    path, now = trigger.serialize()
    assert path == f"{module}.{kind}"
    assert kwargs.items() <= now.items()


@pytest.mark.parametrize("kind", TRIGGERS)
def test_what_is_stored_is_plain_and_no_secret(kind: type[BaseTrigger]) -> None:
    _, kwargs = made(kind)[0].serialize()
    assert all(map(plain, kwargs.values()))
    forbidden = ("password", "token", "secret", "recipient", "number", "body", "text", "content", "to")
    assert not [name for name in kwargs if name in forbidden or name.endswith(("_token", "_secret"))]


def sent(count: int = 1) -> str:
    to = [{"address": f"+1202555{number:04}", "channel": "PHONE"} for number in range(count)]
    return str(TwilioHook().run(messages.send(to, "Hello")).operation_id)


async def test_neither_arguments_nor_event_hold_anything_personal(twilio: Running) -> None:
    trigger = TwilioOperationsTrigger(
        [sent(3)], "twilio_default", deadline=time.time() + 9, poll_interval=0.05
    )
    event = await fired(trigger)
    assert event["status"] == "done"
    for stored in (json.dumps(event), json.dumps(trigger.serialize())):
        for secret in ("202555", "Hello", AUTH_TOKEN, ACCOUNT_SID):
            assert secret not in stored


async def test_in_airflows_own_triggerer(twilio: Running) -> None:
    """Tasks of the triggerer's runner, without its database: created, run, one cancelled, cleaned up."""
    twilio.twilio.change(pace=0.5)
    kwargs = {"twilio_conn_id": "twilio_default", "poll_interval": 0.1, "since": time.time()}
    names = [sent() for _ in range(10)]
    twilio.twilio.change(pace=600)
    endless = sent()
    runner = TriggerRunner()
    for number, name in enumerate([*names, endless], 1):
        given = {**kwargs, "operation_ids": [name], "deadline": time.time() + 60}
        runner.to_create.append(
            workloads.RunTrigger(
                id=number,
                ti=None,
                classpath=TwilioOperationsTrigger([], "").serialize()[0],
                encrypted_kwargs=Trigger.encrypt_kwargs(given),
                timeout_after=None,
            )
        )
    await runner.create_triggers()
    assert len(runner.triggers) == 11
    tasks = {number: details["task"] for number, details in runner.triggers.items()}
    done, waiting = await asyncio.wait([tasks[number] for number in range(1, 11)], timeout=10)
    assert (len(done), waiting) == (10, set())
    assert sorted(await runner.cleanup_finished_triggers()) == list(range(1, 11))
    payloads = [entry[1].payload for entry in runner.events]
    assert {payload["status"] for payload in payloads} == {"done"}
    assert sorted(name for payload in payloads for name in payload["operations"]) == sorted(names)
    runner.to_cancel.append(11)
    await runner.cancel_triggers()
    await asyncio.wait([tasks[11]], timeout=10)
    await runner.cleanup_finished_triggers()
    assert (runner.triggers, list(runner.failed_triggers)) == ({}, [])
