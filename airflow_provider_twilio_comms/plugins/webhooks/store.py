"""Store webhooks in Airflow's tables, deduplicated: the one module that knows these. For the API server only.

Airflow's own asset state store holds the names of what was taken, under an asset of ours: its primary key is
what makes a second one impossible, in whichever process or API server it arrives. They are written in the
same transaction as the asset events.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from airflow.assets.manager import AssetManager
from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.connection import Connection
from airflow.sdk.timezone import utcnow
from airflow.utils.session import create_session
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.plugins.webhooks.codes import forget_codes, keep_codes
from airflow_provider_twilio_comms.plugins.webhooks.payloads import Incoming

__all__ = ["config_of", "forgotten", "taken"]

log: logging.Logger = logging.getLogger(__name__)

TAKEN = "twilio://webhook/taken"


def config_of(conn_id: str) -> Config:
    """Read the connection, as the API server sees it. Raises what Airflow raises where there is none."""
    return Config.from_connection(Connection.get_connection_from_secrets(conn_id))


def taken(things: Sequence[Incoming], *, codes: bool = False) -> int:
    """Make asset events of what is new; returns how many were. When it returns, they are stored.

    With ``codes``, those of failed messages are kept for the tasks that ask for them.

    The last event of each asset goes through Airflow's asset manager, which queues the DAG runs and tells
    listeners; the others of the same call are rows beside it, and the runs get them all.
    Two requests that tell the same at once, or a database that is locked: the loser looks again.
    """
    for attempt in Retrying(
        retry=retry_if_exception_type((IntegrityError, OperationalError)),
        stop=stop_after_attempt(6),
        wait=wait_random_exponential(0.05, 1.0),
        reraise=True,
    ):
        with attempt, create_session(scoped=False) as session:
            return _taken(session, things, codes)
    raise AssertionError("unreachable")


def forgotten(days: float) -> int:
    """Drop the names of what was taken longer ago than that; returns how many were dropped."""
    with create_session(scoped=False) as session:
        ours = select(AssetModel.id).where(AssetModel.uri == TAKEN).scalar_subquery()
        done = session.execute(
            delete(AssetStateStoreModel).where(
                AssetStateStoreModel.asset_id == ours,
                AssetStateStoreModel.updated_at < utcnow() - timedelta(days=days),
            )
        )
        forget_codes(session)
        return int(getattr(done, "rowcount", 0))


def _taken(session: Session, things: Sequence[Incoming], codes: bool) -> int:
    book = _asset(session, TAKEN).id
    known = set(
        session.scalars(
            select(AssetStateStoreModel.key).where(
                AssetStateStoreModel.asset_id == book,
                AssetStateStoreModel.key.in_([thing.name for thing in things]),
            )
        )
    )
    new = {thing.name: thing for thing in things if thing.name not in known}
    for name in new:
        session.add(
            AssetStateStoreModel(asset_id=book, key=name, value=json.dumps(True), updated_at=utcnow())
        )
    session.flush()  # here the second of two fails, before anything is told
    for asset, extras in _by_asset(session, new.values()):
        session.add_all(AssetEvent(asset_id=asset.id, extra=extra) for extra in extras[:-1])
        session.flush()
        AssetManager.register_asset_change(asset=asset, extra=extras[-1], source_is_api=True, session=session)
    if codes:
        keep_codes(session, list(new.values()))
    return len(new)


def _by_asset(
    session: Session, things: Iterable[Incoming]
) -> Iterable[tuple[AssetModel, list[dict[str, Any]]]]:
    """Group what is told by asset. Airflow notes once that an asset has news, however many its events are."""
    assets: dict[tuple[str, ...], Sequence[AssetModel]] = {}
    extras: dict[int, tuple[AssetModel, list[dict[str, Any]]]] = {}
    for thing in things:
        if thing.assets not in assets:
            assets[thing.assets] = _assets(session, thing.assets)
        for asset in assets[thing.assets]:
            told = {"from_webhook": True, "payload": thing.extra}
            extras.setdefault(asset.id, (asset, []))[1].append(told)
    return extras.values()


def _assets(session: Session, uris: Sequence[str]) -> Sequence[AssetModel]:
    """List those that DAGs know; the first is made where none does, so that what was told is kept."""
    _asset(session, uris[0])
    return session.scalars(select(AssetModel).where(AssetModel.uri.in_(uris))).unique().all()


def _asset(session: Session, uri: str) -> AssetModel:
    found = session.scalars(select(AssetModel).where(AssetModel.uri == uri)).unique().first()
    if found is None:
        found = AssetModel(name=uri, uri=uri, group="asset")
        session.add(found)
        session.flush()
    return found
