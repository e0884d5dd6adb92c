"""Provider information for Airflow: plain data, since every component loads it."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]

_PACKAGE = "airflow_provider_twilio_comms"
_TWILIO = "Twilio"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-twilio-comms",
        "name": "Twilio Communications",
        "description": "Twilio messaging: send in bulk, send once, wait for delivery without a worker.",
        "integrations": [
            {
                "integration-name": _TWILIO,
                "external-doc-url": "https://www.twilio.com/docs/bulk-messaging",
                "tags": ["service"],
            }
        ],
        "operators": [
            _modules(
                "operators.api_request",
                "operators.approval",
                "operators.bulk_messages",
                "operators.campaign_report",
                "operators.cohorts",
                "operators.content_templates",
                "operators.deactivations",
                "operators.event_streams",
                "operators.media",
                "operators.messages",
                "operators.messaging_services",
                "operators.numbers",
                "operators.opt_outs",
                "operators.preflight",
                "operators.prices",
                "operators.receipts",
                "operators.resend_failed",
                "operators.send_each",
                "operators.send_message",
                "operators.sender_pools",
            )
        ],
        "sensors": [
            _modules(
                "sensors.cohort_operations",
                "sensors.messages",
                "sensors.operations",
                "sensors.template_approvals",
            )
        ],
        "hooks": [_modules("hooks.twilio")],
        "transfers": [
            _transfer("SQL", "transfers.sql_to_twilio"),
            _transfer("Object storage", "transfers.object_storage_to_twilio"),
            _transfer("SQL", "transfers.sql_to_twilio_profiles"),
            _transfer("Object storage", "transfers.object_storage_to_twilio_profiles"),
            _transfer(_TWILIO, "transfers.messages_to_object_storage", "Object storage"),
            _transfer(_TWILIO, "transfers.messages_to_sql", "SQL"),
            _transfer(_TWILIO, "transfers.usage_records_to_object_storage", "Object storage"),
        ],
        "triggers": [
            _modules(
                "triggers.cohort_operations",
                "triggers.deactivations",
                "triggers.inbound",
                "triggers.messages",
                "triggers.operation_events",
                "triggers.operations",
                "triggers.replies",
                "triggers.template_approvals",
            ),
        ],
        "notifications": [f"{_PACKAGE}.notifications.twilio.TwilioNotifier"],
        "task-decorators": [
            {
                "name": "twilio_message",
                "class-name": f"{_PACKAGE}.decorators.twilio_message.twilio_message_task",
            }
        ],
        "connection-types": [
            {
                "connection-type": "twilio",
                "hook-class-name": f"{_PACKAGE}.hooks.twilio.TwilioHook",
                "hook-name": _TWILIO,
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "port", "schema"],
                    "relabeling": {
                        "login": "Account SID, API key SID or OAuth client id",
                        "password": "Auth token, API key secret or OAuth client secret",
                    },
                    "placeholders": {"login": "AC..., SK... or OQ..."},
                },
                "conn-fields": _FIELDS,
            }
        ],
        "extra-links": [f"{_PACKAGE}.links.console.TwilioConsoleLink"],
        "queues": [f"{_PACKAGE}.queues.TwilioMessageQueueProvider"],
        "plugins": [
            {
                "name": "twilio_webhooks",
                "plugin-class": f"{_PACKAGE}.plugins.webhooks.plugin.TwilioWebhookPlugin",
            },
            {
                "name": "twilio_delivery",
                "plugin-class": f"{_PACKAGE}.plugins.delivery.plugin.TwilioDeliveryPlugin",
            },
        ],
        "config": {
            "twilio": {
                "description": "Sends, the delivery view, and the webhooks at /twilio of the API server.",
                "options": _OPTIONS,
            }
        },
    }


def _modules(*names: str) -> dict[str, Any]:
    return {"integration-name": _TWILIO, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}


def _transfer(source: str, module: str, target: str = _TWILIO) -> dict[str, Any]:
    return {
        "source-integration-name": source,
        "target-integration-name": target,
        "python-module": f"{_PACKAGE}.{module}",
    }


def _field(label: str, help_text: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": help_text, "schema": {"type": [kind, "null"], **schema}}


_FIELDS: dict[str, Any] = {
    "account_sid": _field(
        "Account SID",
        "The account to use. Needed with an API key or an OAuth client; with an auth token it is the login.",
        pattern="^AC[0-9a-fA-F]{32}$",
    ),
    "default_sender": _field(
        "Default sender", "The sender of tasks that set none: a number, a sender id or a sender pool id."
    ),
    "bulk_generation": _field(
        "Generation of bulk sends",
        "The API of lists whose tasks set none: comms (the Communications API), or classic (a number or "
        "messaging service, a request for each recipient).",
        enum=["comms", "classic"],
    ),
    "allowed_recipients": _field(
        "Allowed recipients",
        "Patterns separated by commas, such as +1500555*. Everyone else is refused before anything is sent; "
        "empty allows everyone. For environments that must not text customers.",
    ),
    "dry_run": _field(
        "Dry run", "Check and plan everything, but change and send nothing.", "boolean", default=False
    ),
    "hash_secret": _field(
        "Hash secret",
        "The key of the hashes of phone numbers in receipts and message logs (HMAC-SHA256), which can be "
        "joined on. If empty, the key is derived from the credential, and changes with it.",
        format="password",
    ),
    "consent": _field(
        "Consent",
        "The table of those who have opted out, whom every send leaves out: an object with conn_id (a "
        "connection to a database) and table. TwilioOptOutsOperator keeps it.",
        "object",
    ),
    "frequency_cap": _field(
        "Frequency cap",
        "At most so many messages to a person in any so many days, over all DAGs: an object with messages "
        "and days, and with conn_id, table and create_table for the table in which they are counted.",
        "object",
    ),
    "alert_template": _field(
        "Alert template",
        "The text of TwilioNotifier's alerts that set none, as Jinja: {{ alert.task_id }} ...",
        format="multiline",
    ),
    "alert_store": _field(
        "Alert store",
        "The connection to a database (PostgreSQL, MySQL, MariaDB or SQLite) in which TwilioNotifier keeps "
        "what was sent and held back, in a table twilio_alerts. Empty for Airflow's Variables.",
    ),
    "comms_version": _field(
        "Communications API version",
        "v1, or preview for accounts in the private beta.",
        enum=["v1", "preview"],
    ),
    "region": _field(
        "Region",
        "The region in which Twilio processes the data of the classic API. Credentials belong to one region.",
        enum=["us1", "ie1", "au1", "jp1"],
    ),
    "edge": _field("Edge", "The location at which requests enter Twilio's network, such as dublin."),
    "timeout": _field(
        "Timeout", "Seconds to wait for a reply; 30 if empty.", "number", minimum=0.1, maximum=600
    ),
    "max_attempts": _field(
        "Max attempts",
        "Attempts of a request at most; 5 if empty. A request that may have texted somebody is not repeated.",
        "integer",
        minimum=1,
        maximum=20,
    ),
    "base_url": _field(
        "Base URL",
        "Replaces https://{product}.twilio.com, for the emulator or a proxy. {product} is api, comms ...",
    ),
}


def _option(
    help_text: str, kind: str = "string", default: str | None = None, example: str | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "description": help_text,
        "version_added": "1.0.0",
        "type": kind,
        "default": default,
        "example": example,
        **more,
    }


_OPTIONS: dict[str, Any] = {
    "delivery_view": _option(
        "Show the delivery view in Airflow's UI: a page of all sends, and a tab of each task instance.",
        "boolean",
        "True",
    ),
    "installation_id": _option(
        "The id of this Airflow, which tells its sends from those of others on the same Twilio account. Left "
        "out, one is made and kept as the Variable twilio_installation_id.",
        example="production",
    ),
    "snapshot_path": _option(
        "A folder in which every bulk send keeps its plan, numbers included, unless the task names another: "
        "a retry then needs nothing of its source.",
        example="s3://aws_default@campaigns/plans",
    ),
    "snapshot_days": _option("Days after which kept plans are removed; 0 keeps them.", "float", "30"),
    "webhook_enabled": _option("Receive webhooks in the API server.", "boolean", "False"),
    "webhook_public_url": _option(
        "The public address that Twilio calls and signs, including /twilio. Never read from a request.",
        example="https://airflow.example.com/twilio",
    ),
    "webhook_conn_id": _option(
        "The connection whose auth token signs webhooks; empty for none.", default="twilio_default"
    ),
    "webhook_auth_token": _option(
        "An auth token that signs webhooks, if the connection holds an API key.", sensitive=True
    ),
    "webhook_shared_keys": _option(
        "Shared keys that sign webhooks by HMAC-SHA256: a JSON object of secrets by key id.",
        example='{"webhooks_sharedkey_...": "secret"}',
        sensitive=True,
    ),
    "webhook_max_body": _option("The largest request that is read, in bytes.", "integer", "262144"),
    "webhook_max_rate": _option(
        "Signed requests per second that each process of the API server stores. Others wait up to 10 "
        "seconds, then they are answered with 503.",
        "float",
        "250",
    ),
    "webhook_remember_days": _option(
        "Days for which a webhook is remembered, so that a repeated one is ignored.", "float", "30"
    ),
    "webhook_wakes": _option(
        "Wake the tasks that wait in the triggerer for a message or an operation as soon as a webhook tells "
        "that it has ended, and let their triggers poll less often.",
        "boolean",
        "False",
    ),
    "webhook_keeps_codes": _option(
        "Keep the error codes that events tell of failed messages, as Variables for a week, so that no task "
        "asks Twilio for them. Set it for the API server and the workers.",
        "boolean",
        "False",
    ),
    "push_poll_interval": _option(
        "With webhook_wakes: the seconds between two polls of a waiting task's trigger, at least. It finds "
        "what no webhook told.",
        "float",
        "300",
    ),
    "webhook_reply": _option(
        "The reply to people who write, as a Jinja template: a text, or TwiML. No reply if empty.",
        example="Thank you, we have read this.",
    ),
}
