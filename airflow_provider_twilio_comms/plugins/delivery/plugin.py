"""Airflow plugin that adds the delivery view to the UI; only the API server builds, and so imports, it."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from airflow.sdk.configuration import conf
from airflow.sdk.plugins_manager import AirflowPlugin

__all__ = ["PREFIX", "TwilioDeliveryPlugin"]

log: logging.Logger = logging.getLogger(__name__)

PREFIX = "/twilio-delivery"  # not below /twilio, which is open to Twilio where webhooks are taken
NAME = "Twilio delivery"
_TASK = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"


class TwilioDeliveryPlugin(AirflowPlugin):
    """A page in the navigation and a tab of task instances, unless ``[twilio] delivery_view`` is off.

    It reads only what Airflow has stored and the viewer may read, and changes nothing.
    """

    name = "twilio_delivery"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Build the pages. If that fails, the API server starts without them, and the log says why."""
        if not _wanted():
            return []
        try:
            from airflow_provider_twilio_comms.plugins.delivery.app import application

            return [{"app": application(PREFIX), "url_prefix": PREFIX, "name": NAME}]
        except Exception:
            log.exception("The delivery view is missing: it cannot be set up on this Airflow")
            return []

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """List the views, with addresses relative to Airflow's own."""
        if not _wanted():
            return []
        here = PREFIX.lstrip("/")
        icons = {
            "icon": f"{here}/static/icon.svg",
            "icon_dark_mode": f"{here}/static/icon-dark.svg",
        }
        return [
            {
                "name": NAME,
                "href": f"{here}/",
                "destination": "nav",
                "category": "browse",
                "url_route": "twilio-delivery",
                **icons,
            },
            {
                "name": NAME,
                "href": f"{here}/task?{_TASK}",
                "destination": "task_instance",
                "url_route": "twilio-delivery-task",
                **icons,
            },
        ]


def _wanted() -> bool:
    return bool(conf.getboolean("twilio", "delivery_view", fallback=True))
