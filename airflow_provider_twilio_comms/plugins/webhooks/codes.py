"""Keep the error codes that events tell in Airflow's Variables, which workers can read.

For the API server only. A Variable holds the failed messages of one operation, by id: no number, no text. It
is removed after a week.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import timedelta

from airflow.models.variable import Variable
from airflow.sdk.timezone import utcnow
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from airflow_provider_twilio_comms._core.reporting.told_codes import (
    KEPT_DAYS,
    PREFIX,
    add_changes,
    read_changes,
    variable_of,
)
from airflow_provider_twilio_comms.plugins.webhooks.payloads import Incoming

__all__ = ["forget_codes", "keep_codes"]

log: logging.Logger = logging.getLogger(__name__)

MOST = 2000  # Variables of ours: operations of a week with failures
_ABOUT = "Failed messages of an operation and Twilio's codes, told by events; may be deleted, and is after"
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z")
_OURS = Variable.key.startswith(PREFIX, autoescape=True)


def keep_codes(session: Session, things: Sequence[Incoming]) -> None:
    """Note failures that are told, and drop those of messages that have arrived since at another attempt.

    Two that note about one operation at once wait for each other, or the second fails and is to try again.
    """
    changes = read_changes(thing.extra for thing in things)
    if not changes:
        return
    names = [variable_of(each) for each in sorted(changes)]
    query = select(Variable).where(Variable.key.in_(names)).order_by(Variable.key).with_for_update()
    there = {variable.key: variable for variable in session.scalars(query)}
    room = MOST
    if any(name not in there for name in names):
        room -= session.scalar(select(func.count()).select_from(Variable).where(_OURS)) or 0
    for operation_id, of_messages in sorted(changes.items()):
        variable = there.get(variable_of(operation_id))
        text = add_changes(variable.val if variable is not None else None, of_messages)
        if text is None:
            continue
        if variable is not None:
            variable.val = text
        elif room > 0:
            room -= 1
            until = utcnow() + timedelta(days=KEPT_DAYS)
            about = f"{_ABOUT} {until:%Y-%m-%d}"
            session.add(Variable(key=variable_of(operation_id), val=text, description=about))
        else:
            log.warning("Codes of %s are not kept: there are %d operations already", operation_id, MOST)
    session.flush()


def forget_codes(session: Session) -> int:
    """Drop the codes of operations that Twilio has forgotten; returns of how many."""
    today = f"{utcnow():%Y-%m-%d}"
    old = [
        number
        for number, about in session.execute(select(Variable.id, Variable.description).where(_OURS))
        if (day := _DAY.search(about or "")) and day[0] < today
    ]
    if old:
        session.execute(delete(Variable).where(Variable.id.in_(old)))
    return len(old)
