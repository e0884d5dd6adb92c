"""The plugin that adds the delivery view to Airflow's UI; only the API server builds, and so imports, it."""

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
    """A page in the navigation and a tab at task instances, unless ``[twilio] delivery_view`` is off.

    It reads what Airflow has stored, as whoever looks may read it, and changes nothing.
    """

    name = "twilio_delivery"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The pages. Where they cannot be built, the API server starts without them, and the log says why."""
        if not _wanted():
            return []
        try:
            from airflow_provider_twilio_comms.plugins.delivery.app import application

            return [{"app": application(PREFIX), "url_prefix": PREFIX, "name": NAME}]
        except Exception:
            log.exception("There is no delivery view: it cannot be set up on this Airflow")
            return []

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Addresses are relative to Airflow's own, wherever that is."""
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
