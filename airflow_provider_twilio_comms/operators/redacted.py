"""What the operators share that write what is personal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_twilio_comms._tasks.operator import TwilioOperator, one_of

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.privacy import Redact, Redaction

__all__ = ["TwilioRedacted"]


class TwilioRedacted(TwilioOperator):
    """Base of the operators that write what is personal.

    :param redact: what of a person may be written: ``none`` (all of it), ``numbers`` (hashes in place of
        numbers), ``text`` (no texts) or ``all`` (neither numbers nor texts)
    :param hash_secret: keys the hashes, a template; the connection's ``hash_secret``, if left out, or else a
        key made of its credential. Never shown
    """

    hidden_fields: ClassVar[Sequence[str]] = ("hash_secret",)
    template_fields: Sequence[str] = (*TwilioOperator.template_fields, *hidden_fields)

    def __init__(self, *, redact: Redact = "all", hash_secret: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.redact: Redact = one_of("redact", redact, "none", "numbers", "text", "all")
        self.hide(hash_secret=hash_secret)

    @cached_property
    def redaction(self) -> Redaction:
        from airflow_provider_twilio_comms._core.privacy import Redaction, derived

        config = self.hook.config
        key = self.shown("hash_secret") or config.hash_secret
        if not key and self.redact in ("numbers", "all"):
            self.log.info(
                "Numbers are hashed with a key made of the connection's credential, and are other hashes "
                "after its rotation; hash_secret in the connection keeps them"
            )
        return Redaction(self.redact, key or derived(config.secret))
