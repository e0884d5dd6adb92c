"""The commands of the package describe each of their options in ``--help``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.demo import __main__ as demo
from airflow_provider_twilio_comms.emulator import __main__ as emulator
from airflow_provider_twilio_comms.emulator.options import Options

Main = Callable[[Sequence[str] | None], Any]


def options_of(main: Main, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The options that ``--help`` lists, each with its description but for the default."""
    with pytest.raises(SystemExit):
        main(["--help"])
    _, _, listed = capsys.readouterr().out.partition("options:\n")
    entries = re.findall(r"^  (-\S.*?)(?:  +|\n +)(\S.*(?:\n {8,}\S.*)*)$", listed, re.M)
    return {flags: re.sub(r"\(default:[^)]*\)|\s+", " ", text).strip() for flags, text in entries}


@pytest.mark.parametrize("main", [demo.main, emulator.main], ids=["demo", "emulator"])
def test_every_option_has_a_description(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    options = options_of(main, capsys)
    assert len(options) >= 4
    assert {flags for flags, text in options.items() if len(text.split()) < 3} == set()


def test_every_setting_of_the_emulator_but_lists_has_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    listed = " ".join(options_of(emulator.main, capsys))
    names = {field.name for field in msgspec.structs.fields(Options)} - {"outcomes"}
    assert {name for name in names if f"--{name.replace('_', '-')}" not in listed} == set()
