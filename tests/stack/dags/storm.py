"""DAGs that fail in every way that an alert can be told of."""

from __future__ import annotations

import datetime
import time

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, SyncCallback, task

from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier

FROM = "+15005550006"


def alert(number: int = 1, **kwargs: object) -> TwilioNotifier:
    return TwilioNotifier(to=f"+1202555017{number}", from_=FROM, **kwargs)  # type: ignore[arg-type]


with DAG("stack_storm", schedule=None, on_failure_callback=alert(2)):

    @task(on_failure_callback=alert(1, window=datetime.timedelta(hours=1)))
    def fail(number: int) -> None:
        raise ValueError("no rows for +12025550199")

    fail.expand(number=list(range(12)))

with DAG("stack_big_storm", schedule=None):

    @task
    def storm(number: int, **context: object) -> None:
        """As 250 tasks that fail one after the other would, in one of four processes at once."""
        context["exception"] = ValueError("no rows")
        for _ in range(250):
            alert(5, dedupe_key="big", window=datetime.timedelta(hours=1))(context)

    storm.expand(number=list(range(4)))

DUE = {"reference": DeadlineReference.DAGRUN_QUEUED_AT, "interval": datetime.timedelta(seconds=1)}

with DAG(
    "stack_deadline_async",
    schedule=None,
    deadline=DeadlineAlert(
        **DUE, callback=AsyncCallback(TwilioNotifier, kwargs={"to": "+12025550173", "from_": FROM})
    ),
):

    @task
    def linger() -> None:
        time.sleep(5)

    linger()

with DAG(
    "stack_deadline_sync",
    schedule=None,
    deadline=DeadlineAlert(
        **DUE, callback=SyncCallback(TwilioNotifier, kwargs={"to": "+12025550174", "from_": FROM})
    ),
):

    @task
    def linger_too() -> None:
        time.sleep(5)

    linger_too()
