"""The connection form: every field, the Test button's sentences, and secrets that survive an edit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.provider_info import get_provider_info
from tests.browser.conftest import Site, pictured
from tests.hooks.test_connection_test import REFUSED

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.stack, pytest.mark.browser]

(TYPE,) = get_provider_info()["connection-types"]
FIELDS: dict[str, Any] = TYPE["conn-fields"]
SECRET = "the-key-of-the-hashes"


def added(site: Site, page: Page, name: str) -> Locator:
    """The dialog for a new connection of our type. It shows one part at a time, the standard fields first."""
    page.goto(f"{site.url}/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[name=connection_id]").fill(name)
    dialog.get_by_role("combobox").first.fill(TYPE["hook-name"])
    page.get_by_role("option", name=TYPE["hook-name"], exact=True).click()
    dialog.locator("input[name=login]").wait_for()
    return dialog


def extra_fields(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Extra Fields", exact=True).click()
    dialog.locator("#element_account_sid").wait_for()


def saved(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def verdict_on(page: Page, name: str) -> str:
    """Return what the Test button of a connection says."""
    page.reload()
    row(page, name).get_by_role("button", name="Test Connection").click()
    said = page.get_by_role("status").filter(has_text="Test Connection").first
    said.wait_for()
    return str(said.inner_text())


def kind_of(dialog: Locator, name: str) -> str:
    """Return what sort of a control a field is: Airflow gives each sort an id of its own."""
    if dialog.locator(f"[id='switch:element_{name}']").count():
        return "switch"
    if dialog.locator(f"[id='number-input:element_{name}']").count():
        return "number"
    field = dialog.locator(f"#element_{name}")
    if field.locator("[role=combobox]").count():
        return "choice"
    named = {"TEXTAREA": "text area", "DIV": "JSON editor"}
    return str(field.evaluate("(element, named) => named[element.tagName] || element.type", named))


def expected_kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "choice"
    if schema.get("format"):
        return {"password": "password", "multiline": "text area"}[schema["format"]]
    kinds = {"boolean": "switch", "number": "number", "integer": "number", "object": "JSON editor"}
    return kinds.get(schema["type"][0], "text")


def test_every_field_has_its_label_its_help_and_its_kind(site: Site) -> None:
    page = site.page("ann")
    dialog = added(site, page, "fields")
    text = plain(dialog.inner_text())
    for label in TYPE["ui-field-behaviour"]["relabeling"].values():
        assert label in text
    for hidden in ("host", "port", "schema"):
        assert dialog.locator(f"input[name={hidden}]").count() == 0
    assert dialog.locator("input[name=login]").get_attribute("placeholder") == "AC..., SK... or OQ..."
    assert dialog.locator("input[name=password]").get_attribute("type") == "password"
    extra_fields(dialog)
    text = plain(dialog.inner_text())
    for field in FIELDS.values():
        assert field["label"] in text
        assert plain(field["description"]) in text
    kinds = {name: kind_of(dialog, name) for name in FIELDS}
    assert kinds == {name: expected_kind(field["schema"]) for name, field in FIELDS.items()}
    pictured(page, "connection-form")
    page.context.close()


def test_the_test_button_tells_right_from_wrong_and_secrets_survive_an_edit(site: Site) -> None:
    page = site.page("ann")
    for name, password in (("by_hand", AUTH_TOKEN), ("mistyped", "wrong")):
        dialog = added(site, page, name)
        dialog.locator("input[name=login]").fill(ACCOUNT_SID)
        dialog.locator("input[name=password]").fill(password)
        extra_fields(dialog)
        dialog.locator("#element_base_url").fill(f"{site.outbox}/{{product}}")
        dialog.locator("#element_hash_secret").fill(SECRET)
        saved(dialog)
        with_port(site, name)
    assert REFUSED.format("auth token") in verdict_on(page, "mistyped")
    assert f"Connected to account {ACCOUNT_SID} (Full, active)." in verdict_on(page, "by_hand")
    pictured(page, "connection-test")

    page.reload()
    row(page, "by_hand").get_by_role("button", name="Edit Connection").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[name=password]").wait_for()
    assert dialog.locator("input[name=password]").input_value() == "***"
    extra_fields(dialog)
    assert dialog.locator("#element_hash_secret").input_value() == "***"
    dialog.locator("#element_default_sender").fill("+15005550006")
    saved(dialog)
    with_port(site, "by_hand")
    assert "Connected to account" in verdict_on(page, "by_hand")
    assert not {AUTH_TOKEN, SECRET} & set(re.findall(r"[\w-]+", page.content()))
    assert stored(site, "by_hand") == {
        "password": AUTH_TOKEN,
        "hash_secret": SECRET,
        "default_sender": "+15005550006",
    }
    page.context.close()


def with_port(site: Site, name: str) -> None:
    """Airflow 3.3.2's Test button sends port 0 where none is stored, which its API takes for another host."""
    body = {"connection_id": name, "conn_type": "twilio", "port": 0}
    site.stack.airflow.call("PATCH", f"/connections/{name}?update_mask=port", json=body)


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def stored(site: Site, name: str) -> dict[str, Any]:
    """List what lies behind the mask."""
    command = [sys.executable, "-m", "airflow", "connections", "get", name, "-o", "json"]
    done = subprocess.run(command, env=site.stack.env, capture_output=True, text=True, check=True)
    (found,) = json.loads(done.stdout[done.stdout.index("[") :])
    extra = found["extra_dejson"]
    extra = json.loads(extra) if isinstance(extra, str) else extra
    return {"password": found["password"], **{key: extra[key] for key in ("hash_secret", "default_sender")}}
