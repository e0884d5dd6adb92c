"""Ask for approval by text, and go on with the answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import XComArg
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.xcom_keys import SENT
from airflow_provider_twilio_comms._tasks.arguments import one_of, seconds
from airflow_provider_twilio_comms._tasks.operator import (
    INITIAL_DELAY,
    PADDING,
    Hidden,
    TwilioOperator,
    failing_fast,
)
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError, scrub
from airflow_provider_twilio_comms.hooks import _metrics

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.approvals import Ballot
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger

__all__ = ["TwilioApprovalOperator"]


class TwilioApprovalOperator(TwilioOperator, HITLOperator, SkipMixin):
    """Ask a few people by text, wait without a worker, and go on with the first answer that counts.

    Each of them gets the question with a short code, and answers ``YES 4821``. The answer can be given in
    Airflow too, under Required Actions; whichever Airflow hears of first wins. Returns ``{"option",
    "answered_by", "via", "answered_at"}``: ``via`` is ``text``, ``airflow`` or ``default``.

    .. code-block:: python

        TwilioApprovalOperator(
            task_id="approve",
            subject="Send the spring campaign to {{ params.count }} people?",
            approvers={"Ada": "+15005550101", "Grace": "+15005550102"},
            from_="+15005550006",
            timeout=timedelta(hours=4),
            default="NO",
        )

    A wrong code, somebody else's number, an unclear text ("not yes 4821"), a second answer and a late one
    change nothing. After 20 wrong codes a person is no longer heard; codes of other questions that were
    texted to that person are not wrong ones. An answer counts by Twilio's date: since Twilio's list lags,
    ``default`` is taken up to a minute after the time is up. The question is sent once, whatever is tried
    again; a cleared run asks anew, with another code. Code and numbers are kept as keyed hashes only. Airflow
    shows who answered by the name given here when the question was asked, or the place in the list. Rotating
    the connection's credential makes open codes void, unless it has a ``hash_secret``.

    :param subject: the question (a template). Texted, and shown in Airflow
    :param approvers: who may answer: numbers, or numbers by name. A template or XComArg too. Numbers are
        never shown
    :param options: the possible answers, a word each
    :param rejects: the options that say no
    :param on_reject: the effect of a no: ``skip`` the tasks downstream, ``fail``, or ``go_on``
    :param default: the option that is taken when time is up; without one the task fails
    :param timeout: seconds, or a timedelta, to wait for an answer
    :param body: shown in Airflow beside the question (a template, Markdown). Not texted
    :param from_: the sender; without one and without a service, the connection's ``default_sender``
    :param messaging_service_sid: the service that sends it
    :param code_digits: the length of the code, 4 to 8
    :param poll_interval: seconds, or a timedelta, between two looks for answers
    :param send_key: the question's idempotency key (a template); DAG, run, task and map index, if
        left out
    :param default_region: the country (``US``) of numbers written without a country code
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "approvers",
        "from_",
        "subject",
        "body",
        "messaging_service_sid",
        "send_key",
    )
    inherits_from_skipmixin = True

    def __init__(
        self,
        *,
        subject: str,
        approvers: Mapping[str, str] | Iterable[str] | XComArg,
        options: Sequence[str] = ("YES", "NO"),
        rejects: Sequence[str] = ("NO",),
        on_reject: Literal["skip", "fail", "go_on"] = "skip",
        default: str | None = None,
        timeout: timedelta | float = timedelta(hours=1),
        body: str | None = None,
        from_: str | None = None,
        messaging_service_sid: str | None = None,
        code_digits: int = 4,
        poll_interval: timedelta | float = 10.0,
        send_key: str | None = None,
        default_region: str | None = None,
        initial_delay: float = INITIAL_DELAY,
        **kwargs: Any,
    ) -> None:
        if any(not re.fullmatch(r"\w+", option) or option.isdecimal() for option in options):
            raise InvalidInput.at(
                "options", "one is not a word", "Give words such as YES, without digits alone"
            )
        if len({option.casefold() for option in options}) != len(options):
            raise InvalidInput.at("options", "two are the same", "Upper and lower case do not count")
        if not 4 <= code_digits <= 8:
            raise InvalidInput.at("code_digits", f"{code_digits} is not possible", "Give 4 to 8")
        super().__init__(subject=subject, body=body, options=list(options), defaults=default, **kwargs)
        self.approvers: Hidden[Mapping[str, str] | Iterable[str]] = self.hide(approvers)
        self.from_: Hidden[str | None] = self.hide(from_)
        misspelled = [option for option in rejects if option not in options and option != "NO"]
        if misspelled:  # it would never reject
            problem = f"{misspelled[0]!r} is none of the options"
            raise InvalidInput.at("rejects", problem, f"Give some of {', '.join(options)}")
        self.rejects: list[str] = [option for option in rejects if option in options]
        self.on_reject: Literal["skip", "fail", "go_on"] = one_of(
            "on_reject", on_reject, "skip", "fail", "go_on"
        )
        self.timeout: float = seconds(timeout)
        self.messaging_service_sid = messaging_service_sid
        self.code_digits = code_digits
        self.poll_interval: float = seconds(poll_interval)
        self.send_key = send_key
        self.default_region = default_region
        self.initial_delay = initial_delay

    def execute(self, context: Context) -> None:
        """Ask, and defer; :meth:`execute_complete` goes on."""
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail

        from airflow_provider_twilio_comms.triggers.replies import TwilioReplyTrigger

        with failing_fast():
            ballot, sids = self._ask(context)
        ti: Any = context["ti"]
        ti.xcom_push(SENT, sids)
        upsert_hitl_detail(
            ti_id=ti.id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            defaults=self.defaults,
            params=self.serialized_params,
        )
        self.log.info("Asked %d people, by text and in Airflow", len(sids))
        self.defer(
            trigger=TwilioReplyTrigger(
                ti_id=str(ti.id),
                options=list(ballot.options),
                salt=ballot.salt,
                code_hash=ballot.code_hash,
                voter_hashes=list(ballot.voter_hashes),
                sids=sids,
                opened=ballot.opened,
                deadline=ballot.deadline,
                defaults=list(self.defaults) if self.defaults is not None else None,
                twilio_conn_id=self.twilio_conn_id,
                poll_interval=self.poll_interval,
                not_before=time.time() + self.initial_delay,
                code_digits=ballot.digits,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, ballot.deadline - time.time())) + PADDING,
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resume with the answer of the trigger, or with Airflow's own."""
        at = event.get("responded_at")
        if isinstance(at, str):
            event = {**event, "responded_at": datetime.fromisoformat(at)}
        super().execute_complete(context, event)
        (option,) = event["chosen_options"]
        result = {
            **self._answer(context, event),
            "option": option,
            "answered_at": event["responded_at"].isoformat(),
        }
        self.log.info("%s: answered by %s (%s)", option, result["answered_by"], result["via"])
        if option in self.rejects and self.on_reject == "fail":
            context["ti"].xcom_push("return_value", result)
            raise AirflowFailException(f"{option}: answered by {result['answered_by']} ({result['via']})")
        if option in self.rejects and self.on_reject == "skip":
            context["ti"].xcom_push("return_value", result)
            tasks = [task for task in self.get_direct_relatives(upstream=False) if not task.is_teardown]
            self.skip(ti=context["ti"], tasks=tasks)
        return result

    def _answer(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        if event.get("timedout"):
            return {"via": "default", "answered_by": "nobody"}
        if "voter" in event:
            return {"via": "text", "answered_by": self._name_of(context, event), "sid": event["sid"]}
        return {"via": "airflow", "answered_by": (event["responded_by_user"] or {}).get("name", "unknown")}

    def _name_of(self, context: Context, event: Mapping[str, Any]) -> str:
        """Name the voter as when the question was asked: the list of approvers may have changed since.

        The answer has counted, so nothing fails here. Without a note (Airflow 3.2, an event of an earlier
        version) the voter is looked for in the present list.
        """
        voter, question = event.get("voter_hash"), event.get("question")
        store: Any = context.get("task_state_store")
        noted = store.get(f"asked_{question}") if store is not None and question else None
        name = ((noted or {}).get("voters") or {}).get(voter)
        try:
            return str(name or self._find_name(voter, question, event["voter"]))
        except TwilioError as error:
            self.log.warning("The approvers cannot be read any more, so the voter has no name: %s", error)
            return f"number {event['voter'] + 1} of those asked"

    def _find_name(self, voter: str | None, question: str | None, place: int) -> str:
        from airflow_provider_twilio_comms._core.approvals import hash_voter, key_of

        names, numbers = self._people()
        if voter is None or question is None:  # from an earlier version, which told the place alone
            return names[place] if place < len(names) else f"number {place + 1} of those asked"
        key = key_of(self.hook.config)
        hashes = [hash_voter(key, question, number) for number in numbers]
        return names[hashes.index(voter)] if voter in hashes else f"number {place + 1} of those asked"

    def _ask(self, context: Context) -> tuple[Ballot, list[str]]:
        """Open the question and text it, once, whatever was tried before; returns it and its messages."""
        from airflow_provider_twilio_comms._core.approvals import key_of, open_ballot, text_of
        from airflow_provider_twilio_comms._tasks.task_state import ledger_of

        config = self.hook.config
        names, voters = self._people()
        ledger = ledger_of(context, self.send_key, anew=True, noun="question")
        opened, until = self._note_times(context, ledger.name)
        ballot, code = open_ballot(
            key_of(config), ledger.name, self.options, voters, self.code_digits, opened, until
        )
        self._note_names(context, ledger.name, dict(zip(ballot.voter_hashes, names, strict=True)))
        if config.dry_run:
            self.log.info("Dry run: the question was not texted; it can be answered in Airflow")
            return ballot, []
        return ballot, self._text(voters, text_of(self.subject, self.options, code), ledger, opened)

    def _note_times(self, context: Context, name: str) -> tuple[float, float]:
        """Start and deadline of the question; a retry has no more time than was left."""
        store: Any = context.get("task_state_store")
        now = time.time()
        noted = store.get(f"asked_{name}") if store is not None else None
        if not noted:
            noted = {"opened": now, "deadline": now + self.timeout}
            if store is not None:
                store.set(f"asked_{name}", noted)
        return float(noted["opened"]), float(noted["deadline"])

    def _note_names(self, context: Context, name: str, names: Mapping[str, str]) -> None:
        """Note the voters' names by their hashes, for when the answer comes; a retry may ask others too."""
        store: Any = context.get("task_state_store")
        if store is not None:
            noted = store.get(f"asked_{name}")
            voters = {**noted.get("voters", {}), **{voter: scrub(known) for voter, known in names.items()}}
            if voters != noted.get("voters"):
                store.set(f"asked_{name}", {**noted, "voters": voters})

    def _text(self, voters: Sequence[str], text: str, ledger: Ledger, opened: float) -> list[str]:
        from airflow_provider_twilio_comms._core.sending.classic_messages import MessageSend
        from airflow_provider_twilio_comms._core.sending.message import compose

        config = self.hook.config
        sender = self.from_.value
        if not (sender or self.messaging_service_sid):
            sender = config.default_sender
        given = {"from_": sender, "messaging_service_sid": self.messaging_service_sid, "body": text}
        sending = MessageSend(compose(voters, given, config.allows), ledger, earliest=opened)
        sending.counting = _metrics.counting("messages", conn_id=self.twilio_conn_id, kind="question")
        try:
            self.hook.run(sending.once())
        except TwilioError as error:
            if not sending.ids:
                raise
            self.log.warning("Not everybody could be asked; the others were: %s", error)
        return list(sending.ids)

    def _people(self) -> tuple[list[str], list[str]]:
        """List the voters' names and their addresses, in the same order."""
        from airflow_provider_twilio_comms._core.sending.message import addresses

        given: Any = self.approvers.value
        if not isinstance(given, Mapping):
            found = list(addresses(given, self.default_region))
            return [f"number {place} of the list" for place in range(1, len(found) + 1)], found
        named: dict[str, str] = {}
        for name, number in given.items():
            named.setdefault(addresses([number], self.default_region)[0], str(name))
        if not named:
            raise InvalidInput.at("approvers", "there is nobody", "Give at least one number")
        return list(named.values()), list(named)
