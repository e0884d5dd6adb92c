"""The webhooks' configuration, their answers, and what loading the plugin costs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.plugins.delivery.plugin import TwilioDeliveryPlugin
from airflow_provider_twilio_comms.plugins.webhooks.plugin import TwilioWebhookPlugin
from airflow_provider_twilio_comms.plugins.webhooks.settings import Settings
from airflow_provider_twilio_comms.plugins.webhooks.signature import Secret
from airflow_provider_twilio_comms.provider_info import get_provider_info
from tests.conftest import environment
from tests.plugins.test_webhook import PUBLIC, STORED, app, post, written

GIVEN = {
    "AIRFLOW__TWILIO__WEBHOOK_ENABLED": "True",
    "AIRFLOW__TWILIO__WEBHOOK_PUBLIC_URL": f"{PUBLIC}/",
    "AIRFLOW__TWILIO__WEBHOOK_CONN_ID": "",
    "AIRFLOW__TWILIO__WEBHOOK_AUTH_TOKEN": "a token",
    "AIRFLOW__TWILIO__WEBHOOK_SHARED_KEYS": '{"webhooks_sharedkey_1": "s"}',
}


def test_webhooks_are_off_until_they_are_configured() -> None:
    assert TwilioWebhookPlugin().fastapi_apps == []


def test_on_an_airflow_without_a_store_the_api_server_starts_without_webhooks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "airflow.models.asset_state_store", None)
    with environment(**GIVEN):
        assert TwilioWebhookPlugin().fastapi_apps == []
    assert "they need Airflow 3.3" in caplog.text


@STORED
def test_the_plugin_mounts_the_webhooks() -> None:
    with environment(**GIVEN):
        (mounted,) = TwilioWebhookPlugin().fastapi_apps
        settings = Settings.read()
    assert mounted["url_prefix"] == "/twilio"
    assert settings.public_url == PUBLIC
    assert settings.secrets == (Secret("a token"), Secret("s", "webhooks_sharedkey_1", "HMAC_SHA256"))
    assert "a token" not in repr(settings)


@pytest.mark.parametrize("url", ["", "airflow.example.com", "ftp://x/twilio", "https://x/twilio?a=1"])
def test_webhooks_without_a_public_url_leave_the_api_server_alone(url: str) -> None:
    with environment(**{**GIVEN, "AIRFLOW__TWILIO__WEBHOOK_PUBLIC_URL": url}):
        with pytest.raises(InvalidInput, match="webhook_public_url"):
            Settings.read()
        assert TwilioWebhookPlugin().fastapi_apps == []


@pytest.mark.parametrize("keys", ["x", "[]", '{"a": 1}', '{"a": ""}'])
def test_shared_keys_of_webhooks_are_checked(keys: str) -> None:
    with (
        environment(**{**GIVEN, "AIRFLOW__TWILIO__WEBHOOK_SHARED_KEYS": keys}),
        pytest.raises(InvalidInput, match="webhook_shared_keys"),
    ):
        Settings.read()


def test_every_option_of_webhooks_is_declared_and_secrets_are_marked() -> None:
    import inspect

    from airflow_provider_twilio_comms.plugins.webhooks import settings

    options = get_provider_info()["config"]["twilio"]["options"]
    source = inspect.getsource(settings)
    webhooks = {name for name in options if name.startswith("webhook_")}
    assert {name for name in options if f'"{name}"' in source} == webhooks - {"webhook_enabled"}
    assert {name for name, option in options.items() if option.get("sensitive")} == {
        "webhook_auth_token",
        "webhook_shared_keys",
    }


@STORED
async def test_the_connections_auth_token_signs_webhooks(emulator: Running) -> None:
    assert (await post(app(secrets=(), conn_id="twilio_default"), written())).status == 204


@STORED
async def test_without_any_secret_webhooks_are_asked_to_come_again() -> None:
    assert (await post(app(secrets=(), conn_id="no_such"), written())).status == 503


@STORED
@pytest.mark.parametrize(
    ("template", "twiml"),
    [
        (
            "Thanks, {{ message.Body }}!",
            "<Response><Message>Thanks, &lt;b&gt; &amp; you!</Message></Response>",
        ),
        ("<Response><!-- {{ NumMedia }} --></Response>", "<Response><!-- 0 --></Response>"),
    ],
)
async def test_the_reply_to_an_inbound_webhook_is_a_template(template: str, twiml: str) -> None:
    one, callback = app(reply=template), written("<b> & you")
    for _ in range(2):  # who repeats it has not heard the answer
        answer = await post(one, callback)
        assert (answer.status, answer.body.decode()) == (200, twiml)
        assert answer.headers["content-type"].startswith("text/xml")


@pytest.mark.parametrize("plugin", [TwilioWebhookPlugin, TwilioDeliveryPlugin])
def test_loading_a_plugin_loads_nothing_else(plugin: type[Any]) -> None:
    base = "import sys, airflow.sdk.plugins_manager, airflow.sdk.configuration; before = set(sys.modules)"
    load = f"from {plugin.__module__} import {plugin.__name__} as P; P().on_load()"
    show = "print(*(name for name in set(sys.modules) - before if not name.startswith('airflow_provider_')))"
    program = f"{base}\n{load}\n{show}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
