"""The files of messages: https://www.twilio.com/docs/messaging/api/media-resource"""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms._tasks.arguments import ids_of
from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, failing_fast

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_twilio_comms._core.resources.media import File

__all__ = ["TwilioDeleteMediaOperator", "TwilioDownloadMediaOperator"]

SHOWN = 100  # files that a result names


class _MediaOperator(TwilioOperator):
    """Base of what is done to the files of messages."""

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "sids", "media_sids")

    def __init__(
        self, *, sids: str | Sequence[str], media_sids: str | Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.sids = sids
        self.media_sids = media_sids

    def files(self) -> list[File]:
        """Every file of these messages, or of them those that are named."""
        from airflow_provider_twilio_comms._core.resources.media import files_of

        sids = ids_of("sids", self.sids, "(SM|MM)[0-9a-fA-F]{32}", "SM or MM and 32 hexadecimal digits")
        files = self.hook.run(files_of(sids))
        if not self.media_sids:
            return files
        wanted = ids_of("media_sids", self.media_sids, "ME[0-9a-fA-F]{32}", "ME and 32 hexadecimal digits")
        return [file for file in files if file.sid in wanted]


class TwilioDownloadMediaOperator(_MediaOperator):
    """Copy the files of messages to object storage, several at once.

    They become ``<output_path>/<message SID>/<media SID>.<ending>``; running it twice writes the same files.
    Twilio's storage gets no credentials. Returns ``{"count", "bytes", "output_path", "files"}``, where
    ``files`` are the names below the path, or None where there are more than a hundred.

    .. code-block:: python

        TwilioDownloadMediaOperator(
            task_id="pictures",
            sids="{{ ti.xcom_pull('list')['rows'] | map(attribute='sid') | join(',') }}",
            output_path="s3://aws@media/{{ ds }}",
        )

    https://www.twilio.com/docs/messaging/api/media-resource

    :param sids: the messages: one SID, several, or a template or XComArg that gives them
    :param media_sids: of their files only these
    :param output_path: the folder, anywhere that ``ObjectStoragePath`` reaches (a template)
    :param at_once: how many files are copied at a time
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*_MediaOperator.template_fields, "output_path")

    def __init__(self, *, output_path: str, at_once: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.at_once = at_once

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow.sdk import ObjectStoragePath

        from airflow_provider_twilio_comms.api.flows import all_of, aside

        folder = ObjectStoragePath(self.output_path)
        folder.fs  # noqa: B018  # the storage's connection is read here, not in a thread
        with failing_fast():
            files = self.files()
            copies = (aside(partial(self._copied, file, folder)) for file in files)
            sizes = self.hook.run(all_of(copies, self.at_once))
        self.log.info("Copied %s of %s bytes", pluralize(len(files), "file"), f"{sum(sizes):,}")
        names = [_name(file) for file in files] if len(files) <= SHOWN else None
        return {"count": len(files), "bytes": sum(sizes), "output_path": self.output_path, "files": names}

    def _copied(self, file: File, folder: ObjectStoragePath) -> int:
        from airflow_provider_twilio_comms._tasks.object_storage import stored
        from airflow_provider_twilio_comms.api.classic import media

        size, _ = stored(self.hook, media.download(file.message_sid, file.sid), folder / _name(file))
        return size


class TwilioDeleteMediaOperator(_MediaOperator):
    """Delete the files of messages, for good; the messages stay. What is gone is done.

    Returns ``{"deleted": count}``.

    https://www.twilio.com/docs/messaging/api/media-resource#delete-a-media-resource

    :param sids: the messages: one SID, several, or a template or XComArg that gives them
    :param media_sids: of their files only these
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def execute(self, context: Context) -> dict[str, int]:
        from airflow_provider_twilio_comms._core.resources.media import deleted

        with failing_fast():
            return {"deleted": self.hook.run(deleted(self.files()))}


def _name(file: File) -> str:
    ending = mimetypes.guess_extension(file.content_type or "") or ""
    return f"{file.message_sid}/{file.sid}{ending}"
