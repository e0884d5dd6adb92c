"""Criteria of cohorts, evaluated with a CEL library: https://www.twilio.com/docs/cohorts/cel/overview

Twilio's pages name ``==``, ``&&``, ``||``, ``!``, ``in [...]`` and ``has()``. Anything else is refused rather
than guessed, unless the option ``whole_cel`` is on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_twilio_comms.api.audiences.criteria import ADDRESSES, check
from airflow_provider_twilio_comms.emulator.http import Problem
from airflow_provider_twilio_comms.emulator.memory.people import People, Profile
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["compiled"]

Matches = Callable[[Profile], bool]
_TEXT = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_UNDOCUMENTED = re.compile(r"!=|[<>+*/%?{}]|(?<![\w.])-|\b(?!has\b|in\b)\w+\s*\(")
# Values to try an expression with; numbers come as integers and as floats.
_SAMPLES: dict[str, tuple[Any, Any]] = {"STRING": ("", ""), "NUMBER": (0, 0.5), "BOOLEAN": (False, False)}


def compiled(criteria: str, people: People, whole: bool) -> Matches:
    """Compile an expression for a store. Raises a 400 for one that is not a condition on its profiles."""
    import logging

    from celpy import CompiledRunner, Environment
    from celpy.adapter import json_to_cel
    from celpy.celparser import CELParseError
    from celpy.celtypes import BoolType
    from celpy.evaluation import CELEvalError

    logging.getLogger("celpy").setLevel(logging.CRITICAL)  # it logs what an expression does not find
    types = {
        group.name: {name: str(trait.data_type) for name, trait in group.traits.items()}
        for group in people.groups.values()
    }
    try:
        found = check(criteria, types)
    except InvalidInput as error:
        raise Problem(400, 20001, str(error)) from None
    undocumented = None if whole else _UNDOCUMENTED.search(_TEXT.sub('""', criteria))
    if undocumented:
        raise Problem(400, 20001, f"criteria: {undocumented[0]!r} is not among the documented operators")
    environment = Environment(runner_class=CompiledRunner)
    try:
        program = environment.program(environment.compile(criteria))
    except CELParseError as error:
        raise Problem(400, 20001, f"criteria: not an expression ({str(error)[:100]})") from None

    def evaluate(traits: Mapping[str, Any], addresses: Mapping[str, Any]) -> bool | None:
        profile = {"trait": traits, "address": addresses}
        try:
            value = program.evaluate({"profile": json_to_cel(profile)})
        except CELEvalError:  # a trait that the profile does not have
            return None
        return bool(value) if isinstance(value, bool | BoolType) else None

    def sample(number: int) -> dict[str, dict[str, Any]]:
        return {
            group: {name: _SAMPLES[kind][number] for name, kind in traits.items() if kind in _SAMPLES}
            for group, traits in types.items()
        }

    nobody: dict[str, list[str]] = {name: [] for name in ADDRESSES}
    if all(evaluate(sample(number), nobody) is None for number in range(2)):
        raise Problem(400, 20001, "criteria: neither true nor false of a profile of this store")
    groups = {group for group, _ in found.traits}

    def matches(profile: Profile) -> bool:
        traits = {group: profile.traits.get(group, {}) for group in groups}
        return evaluate(traits, profile.identifiers) is True

    return matches
