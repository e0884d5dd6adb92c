"""Configuration that a Celery worker has read before it forks for a task.

A task's process is a fork of its worker. What the worker has not imported, each task imports anew: here the
package with what it reads lazily, and Airflow's own reader of DAG files. That is most of a short task's cost.
"""

from __future__ import annotations

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

__all__ = ["CONFIG"]

PRELOADED = (
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.python",
    "airflow.sdk.execution_time.task_runner",
    "airflow_provider_twilio_comms.client.sync",
    "airflow_provider_twilio_comms.operators.bulk_messages",
    "airflow_provider_twilio_comms.operators.send_message",
    "airflow_provider_twilio_comms.sensors.operations",
    "airflow_provider_twilio_comms._tasks.task_state",
    "airflow_provider_twilio_comms._tasks.waiting",
    "airflow_provider_twilio_comms.transfers.object_storage_to_twilio",
    "airflow_provider_twilio_comms.triggers.messages",
    "airflow_provider_twilio_comms.triggers.operations",
    "liquid",
    "phonenumbers",
    "requests",
)

CONFIG = {**DEFAULT_CELERY_CONFIG, "imports": PRELOADED}
