"""The plugin that Airflow loads in every component; only the API server builds, and so imports, the app."""

from __future__ import annotations

import logging
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from airflow.sdk.configuration import conf
from airflow.sdk.plugins_manager import AirflowPlugin

__all__ = ["TwilioWebhookPlugin"]

log: logging.Logger = logging.getLogger(__name__)

PREFIX = "/twilio"


class TwilioWebhookPlugin(AirflowPlugin):
    """Takes Twilio's webhooks at ``/twilio`` of the API server, once ``[twilio] webhook_enabled`` is set.

    ``/twilio/inbound`` is for messages that people write, ``/twilio/status`` for status callbacks,
    ``/twilio/events`` for a webhook sink of Event Streams.
    """

    name = "twilio_webhooks"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app. Where it cannot be built, the API server starts without it, and the log says why."""
        if not conf.getboolean("twilio", "webhook_enabled", fallback=False):
            return []
        if find_spec("airflow.models.asset_state_store") is None:
            log.error("Twilio's webhooks are not taken: they are enabled, but they need Airflow 3.3 or later")
            return []
        try:
            from airflow_provider_twilio_comms.plugins.webhooks.app import application
            from airflow_provider_twilio_comms.plugins.webhooks.settings import Settings

            app = application(Settings.read())
        except Exception:
            log.exception("Twilio's webhooks are not taken: they are enabled, but cannot be set up")
            return []
        return [{"app": app, "url_prefix": PREFIX, "name": "Twilio webhooks"}]
