"""Content templates, for WhatsApp and for interactive messages such as list pickers and quick replies.

https://www.twilio.com/docs/content/content-api-resources
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, failing_fast

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.resources.content_templates import Declared
    from airflow_provider_twilio_comms.api.content import Category

__all__ = ["TwilioContentTemplateOperator"]


class TwilioContentTemplateOperator(TwilioOperator):
    """Declare a content template, find it or create it, and submit it to WhatsApp if asked to.

    Its name at Twilio is ``friendly_name`` and a hash of the content: retries and later runs find the one
    that is there, and a changed content is another template, since one that was submitted cannot be changed.
    Returns ``{"content_sid", "friendly_name", "status", "created", "submitted", "approval"}``, where
    ``status`` is ``CHANGED``, ``UNCHANGED``, or ``DRY_RUN`` with what would be done, and ``approval``
    WhatsApp's status; wait for it with
    :class:`~airflow_provider_twilio_comms.sensors.template_approvals.TwilioTemplateApprovalSensor`.

    .. code-block:: python

        TwilioContentTemplateOperator(
            task_id="template",
            friendly_name="table_ready",
            types={
                "twilio/quick-reply": {
                    "body": "Hi {{1}}, your table is ready. Are you coming?",
                    "actions": [{"title": "Yes", "id": "yes"}, {"title": "No", "id": "no"}],
                }
            },
            variables={"1": "Ines"},
            language="en",
            whatsapp_category="UTILITY",
        )

    https://www.twilio.com/docs/content/content-types-overview

    :param friendly_name: the template's name, without the hash (a template)
    :param types: contents by type, such as ``twilio/text``, ``twilio/list-picker``, ``twilio/quick-reply``,
        ``twilio/card`` or ``twilio/carousel``. Its ``{{1}}`` are Twilio's, so Jinja does not render it.
        Checked when the DAG is parsed
    :param language: a code such as ``en`` or ``en_US``
    :param variables: sample texts by name, which WhatsApp asks for and which stand in for what a send leaves
        out
    :param whatsapp_category: ``UTILITY``, ``MARKETING`` or ``AUTHENTICATION`` submits it for WhatsApp's
        approval; left out, it is not submitted
    :param whatsapp_name: its name at WhatsApp, in lower-case letters, digits and underscores; left out, it is
        made of ``friendly_name`` and the hash
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "friendly_name")

    def __init__(
        self,
        *,
        friendly_name: str,
        types: Mapping[str, Mapping[str, Any]],
        language: str,
        variables: Mapping[str, str] | None = None,
        whatsapp_category: Category | None = None,
        whatsapp_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.friendly_name = friendly_name
        self.types = types
        self.language = language
        self.variables = variables
        self.whatsapp_category = whatsapp_category
        self.whatsapp_name = whatsapp_name
        self._declared().check()

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.resources.content_templates import applied

        with failing_fast():
            dry_run = self.hook.config.dry_run
            declared = self._declared()
            changes = self.hook.run(applied(declared, dry_run=dry_run))
        done = [name for name in ("created", "submitted") if getattr(changes, name)]
        self.log.info(
            "%s (%s): %s", declared.friendly_name, changes.sid, ", ".join(done) or "nothing differs"
        )
        if changes.approval in ("rejected", "paused", "disabled"):
            reason = changes.rejection_reason or "it gives no reason"
            self.log.warning("WhatsApp has it %s: %s", changes.approval, reason)
        return {
            "content_sid": changes.sid,
            "friendly_name": declared.friendly_name,
            "status": "DRY_RUN" if dry_run else "CHANGED" if done else "UNCHANGED",
            "created": changes.created,
            "submitted": changes.submitted,
            "approval": changes.approval,
        }

    def _declared(self) -> Declared:
        from airflow_provider_twilio_comms._core.resources.content_templates import Declared

        return Declared(
            self.friendly_name,
            self.types,
            self.language,
            self.variables,
            self.whatsapp_category,
            self.whatsapp_name,
        )
