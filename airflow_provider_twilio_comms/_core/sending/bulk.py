"""Send a plan in bulk, once: the parts are its chunks, and each carries a tag that only this send has."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, ClassVar

import msgspec

from airflow_provider_twilio_comms._core.campaigns.guard import people_of
from airflow_provider_twilio_comms._core.campaigns.variants import Varied
from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.planning.texts import Template, Text, mixed, renderer, undefaulted
from airflow_provider_twilio_comms._core.recipients.reader import Channel
from airflow_provider_twilio_comms._core.sending.ledger import Entry, Ledger, Outline
from airflow_provider_twilio_comms._core.sending.send_once import LAG, Found, SendOnce
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.comms._arguments import (
    MAX_TAGS,
    checked_content,
    checked_sender,
    checked_tags,
    schedule,
)
from airflow_provider_twilio_comms.api.comms._channels import SenderChannel
from airflow_provider_twilio_comms.api.flows import Ended, Flow, Group, attempted, fetched, made, now
from airflow_provider_twilio_comms.api.pace import Pace
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    InvalidInput,
    RecipientsChanged,
    SendUncertain,
    TwilioError,
)

_CHANNELS: dict[str, tuple[Channel, SenderChannel]] = {
    "phone": ("PHONE", "SMS"),
    "sms": ("PHONE", "SMS"),
    "rcs": ("PHONE", "RCS"),
    "whatsapp": ("WHATSAPP", "WHATSAPP"),
}
_SOME_TIME = datetime(2026, 1, 1, microsecond=1, tzinfo=timezone.utc)  # as long as any other one
_TAG_SIZE = 160  # bytes that the package's own tags take at most


@dataclass(frozen=True)
class BulkRequest(Varied):
    """The content that goes to everyone. ``needed`` are the text's variables without a default."""

    content: str | Mapping[str, Any]
    sender: str | Mapping[str, Any] | None  # None: Twilio chooses
    channel: Channel
    sender_channel: SenderChannel
    send_at: datetime | None
    tags: Mapping[str, str]
    needed: frozenset[str]
    template: str | None = None  # what the content template says, where it was read

    @classmethod
    def checked(
        cls,
        *,
        content: str | Mapping[str, Any],
        sender: str | Mapping[str, Any] | None,
        channel: str,
        send_at: datetime | str | None,
        tags: Mapping[str, str] | None,
        twilio_chooses: bool = False,
    ) -> BulkRequest:
        """Raises :class:`InvalidInput` for anything that Twilio would refuse, before recipients are read.

        ``twilio_chooses`` allows that there is no sender.
        """
        if not sender and not twilio_chooses:
            raise InvalidInput.at(
                "sender",
                "is missing",
                "Name one, set default_sender in the connection, or set twilio_chooses_sender where the "
                "account can choose one",
            )
        if str(channel).lower() not in _CHANNELS:
            raise InvalidInput.at("channel", f"{channel!r} is unknown", f"Use {', '.join(_CHANNELS)}")
        recipients, senders = _CHANNELS[str(channel).lower()]
        if sender:
            checked_sender(sender, senders)
        moment = parse_moment(send_at)
        if moment:
            schedule(moment)
        return cls(
            content=content,
            sender=sender or None,
            channel=recipients,
            sender_channel=senders,
            send_at=moment,
            tags=checked_tags(tags, MAX_TAGS - 2),
            needed=undefaulted(checked_content(content)),
        )

    @property
    def envelope(self) -> int:
        """Bytes of a request without its recipients."""
        if self.variants:
            return max(int(each.envelope) for each in self.variants.values())
        try:
            _, body = self.call(msgspec.Raw(b"[]"), {}, _SOME_TIME).content()
        except InvalidInput as error:
            raise InvalidInput.at(
                "content", f"{error.message} before the first recipient", "Shorten it"
            ) from None
        return len(body or b"") + _TAG_SIZE

    @property
    def template_sid(self) -> str | None:
        """The content template at Twilio that says it, if one does."""
        return self.content.get("content_sid") if isinstance(self.content, Mapping) else None

    def text(self) -> Text:
        """The text of each recipient."""
        if self.variants:
            return mixed(each.text() for each in self.variants.values())
        if self.channel == "WHATSAPP":
            return Text(None)  # which Twilio neither cuts in segments nor has in its price list for SMS
        content = checked_content(self.content)
        text = renderer(content, self.template)
        sender = checked_sender(self.sender, self.sender_channel) if self.sender else {}
        if sender.get("channel") == "RCS":
            return text._replace(priced=False, media=False)
        return text._replace(priced=False) if _may_go_as_rcs(content, sender) else text

    def with_template(self, template: Template) -> BulkRequest:
        """The same, with what the content template says, if it has a text."""
        if template.body is None:
            return self
        return replace(self, template=template.body, needed=template.variables)

    @property
    def fingerprint(self) -> str:
        """A hash of what goes to everyone. A file counts without its query, which may be signed anew."""
        marks = [without_queries(self.content), self.sender, self.channel]
        return self.mark(hashlib.sha256(msgspec.json.encode(marks, order="deterministic")).hexdigest()[:16])

    def call(
        self, to: msgspec.Raw, tags: Mapping[str, str], send_at: datetime | None = None
    ) -> Call[messages.Accepted]:
        """The request for recipients that are encoded already, at ``send_at``, or at once."""
        return messages.send(
            to,
            self.content,
            sender=self.sender,
            sender_channel=self.sender_channel,
            send_at=send_at,
            tags={**self.tags, **tags},
        )


_rows = msgspec.json.Decoder(list[msgspec.Raw])


def _may_go_as_rcs(content: Mapping[str, Any], sender: Mapping[str, Any]) -> bool:
    """Tell if the content or the pool's channels name RCS, which the price list of SMS does not price."""
    channels = sender.get("channels", {})
    named = [*channels.get("filterIn", ()), *(each["channel"] for each in channels.get("priority", ()))]
    return "RCS" in named or any("rcs" in module for module in content.get("modules", ()))


def without_queries(content: Any) -> Any:
    """Content without the queries of addresses, which may be signed anew for each try."""
    if isinstance(content, str):
        return content if not re.match(r"https?://\S+$", content) else content.partition("?")[0]
    if isinstance(content, Mapping):
        return {str(name): without_queries(each) for name, each in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_queries(each) for each in content]
    return content


def parse_moment(send_at: datetime | str | None) -> datetime | None:
    """Parse a time: a rendered template is text; a datetime without a zone is refused where it is used."""
    if not send_at:
        return None
    if isinstance(send_at, datetime):
        return send_at
    try:
        return datetime.fromisoformat(send_at.strip().replace("Z", "+00:00"))
    except (ValueError, AttributeError):
        raise InvalidInput.at(
            "send_at", "is not an ISO 8601 time", "Write it like 2027-01-01T09:00:00+01:00"
        ) from None


log: logging.Logger = logging.getLogger(__name__)

TAG = "airflow_send"
KEY_TAG = "airflow_key"  # the send alone: all that went out under one key
DAY = 86_400.0
LOOK = 20  # rows that a look by tag asks for: any of them will do
MOST_PAGES = 20  # pages that are read to find out what else was sent under a key


class BulkSend(SendOnce[Chunk, messages.Accepted]):
    """A bulk send under way. ``schedule`` says when each chunk goes out, ``at_once`` how many may be under
    way together: so many are in memory, and of so many a killed try leaves the outcome open.
    """

    noun: ClassVar[str] = "request"
    tagged: ClassVar[bool] = True

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        request: BulkRequest,
        on_unknown: OnUnknown = "fail",
        lag: float = LAG,
        schedule: Schedule | None = None,
        *,
        at_once: int = 1,
        pace: Pace | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(ledger, on_unknown, lag, schedule or Schedule(request.send_at), **settings)
        self.plan = plan
        self._request = request
        self._at_once = at_once
        self._pace = pace
        self._places: dict[str, int] = {}  # of ids in the plan
        self._bodies: dict[int, msgspec.Raw] = {}  # of chunks that the guard has made shorter

    def parts(self) -> list[Chunk]:
        return self.plan.chunks

    def outline(self) -> Outline:
        return self.plan.outline(self._request.fingerprint, self.schedule.by_zone)

    def send_all(self, parts: Sequence[tuple[Chunk, Entry | None]], began: float) -> Flow[None]:
        """Settle what earlier tries began, then send the others together.

        Where one goes wrong, none is begun after it until it is settled, and those under way are finished.
        """
        if self._at_once == 1 or len(parts) == 1:
            yield from super().send_all(parts, began)
            return
        waiting: deque[tuple[Chunk, Entry | None]] = deque()
        for part, entry in parts:
            if not (yield from self.settled_before(part, entry, began)):
                waiting.append((part, entry))
        while waiting:
            yield from self._send_together(waiting, began)
        self.ids.sort(key=lambda identity: self._places.get(identity, 0))

    def _send_together(self, waiting: deque[tuple[Chunk, Entry | None]], began: float) -> Flow[None]:
        """Send those that wait, up to the first that goes wrong; raises what cannot be settled."""

        def work() -> Iterator[tuple[tuple[Chunk, Entry], Call[messages.Accepted]]]:
            while waiting:
                part, before = waiting[0]
                admitted = self.admitted(part)
                if admitted is None:
                    waiting.popleft()
                    self.settle(part)
                    continue
                part = admitted
                entry, call = self.begin(part, before, group.time)
                waiting.popleft()
                yield (part, entry), call

        group = Group(work(), self._at_once, self._pace)
        wrong: list[Ended] = []
        errors = [(yield from attempted(self._answers(group, wrong, began)))]
        for (part, entry), _, problem in wrong:
            assert problem is not None
            errors.append((yield from attempted(self.went_wrong(part, entry, problem))))
        for error in filter(None, errors):
            raise error

    def _answers(self, group: Group, wrong: list[Ended], began: float) -> Flow[None]:
        """Settle those that Twilio took, and gather those that went ``wrong``."""
        failed: TwilioError | None = None
        while found := (yield group):
            for ended in found:
                part, entry = ended.key
                if ended.error is not None:
                    group.stop()
                    wrong.append(ended)
                elif error := (yield from attempted(self.answered(part, entry, ended.value))):
                    group.stop()
                    failed = failed or error
                else:
                    self.told(part, (yield from now()) - began)
        if failed:
            raise failed

    def count(self, part: Chunk, identity: str | None) -> None:
        super().count(part, identity)
        if identity:
            self._places[identity] = part.number

    def request(self, part: Chunk, time: float) -> Call[messages.Accepted]:
        tags, send_at = {TAG: self._tag(part), KEY_TAG: self.ledger.name}, self.schedule.at(part, time)
        if send_at is not None:
            messages.schedulable(send_at, datetime.fromtimestamp(time, timezone.utc))
        body = self._bodies.pop(part.number) if part.number in self._bodies else self.plan.to(part)
        return self._request.of(part.variant).call(body, tags, send_at)

    def admitted(self, part: Chunk) -> Chunk | None:
        """The chunk as it may go out now; it keeps its fingerprint, whoever is left out."""
        if self.guard is None:
            return part
        out = self.guard.admit(part.number, dict(enumerate(people_of(self.plan, part))))
        if not out:
            return part
        log.info("%s: %s left out", self.name(part), pluralize(len(out), "recipient"))
        rows = _rows.decode(bytes(self.plan.to(part)))
        stay = [bytes(row) for place, row in enumerate(rows) if place not in out]
        self._bodies[part.number] = msgspec.Raw(b"[" + b",".join(stay) + b"]")
        return replace(part, count=len(stay)) if stay else None

    def not_given(self, part: Chunk, error: TwilioError) -> None:
        if self.guard is not None:
            self.guard.refused(part.number, dict(enumerate(people_of(self.plan, part))))

    def as_sent(self, part: Chunk, entry: Entry) -> Chunk:
        return part if self.guard is None else replace(part, count=entry.count)

    def identity(self, reply: messages.Accepted) -> str | None:
        return reply.operation_id

    def look(self, part: Chunk, entry: Entry | None, since: float | None) -> Flow[Found]:
        tag = self._tag(part, entry)
        # Twilio's day, whatever our clock says: the tag alone tells what is meant.
        start = datetime.fromtimestamp(since - DAY, timezone.utc) if since is not None else None
        page = yield from made(messages.list(tags={TAG: tag}, start_date=start, page_size=LOOK))
        mine = [row.operation_id for row in page.items if (row.tags or {}).get(TAG) == tag]
        if page.items and not mine:
            raise self.uncertain(part, "before", "Twilio's list ignores the filter by tag, so it cannot tell")
        for identity in dict.fromkeys(each for each in mine if each):
            operation = yield from fetched(operations.fetch(identity))
            count = operation.stats.recipients if operation else 0
            # By a try of which the ledger knows nothing, others may have been left out.
            unknown = entry is None or entry.place < 0
            fewer = self.guard is not None and unknown and count < part.count
            if part.exact and count and count != part.count and not fewer:
                tried = f"{identity} bears the tag, but is for {count:,} recipients and not {part.count:,}"
                raise self.uncertain(part, "before", tried)
        return Found(mine)

    def look_for_others(self, parts: Sequence[Chunk]) -> Flow[bool]:
        own, name = {self._tag(part) for part in parts}, self.ledger.name
        seen: set[str | None] = set()
        call: Call[Page[messages.Message]] | None = messages.list(tags={KEY_TAG: name}, page_size=1_000)
        for _ in range(MOST_PAGES):
            if call is None or own <= seen:
                break
            try:
                page = yield from made(call)
            except ApiError as error:
                if self.ledger.blank:
                    raise
                log.warning("Twilio's list does not tell whether another Airflow has sent this: %s", error)
                return False
            rows = [row.tags or {} for row in page.items if (row.tags or {}).get(KEY_TAG) == name]
            if page.items and not rows:
                raise self.uncertain(parts[0], "before", "Twilio's list ignores the filter by tag")
            seen.update(tags.get(TAG) for tags in rows)
            call = page.next
        if seen - own:
            raise RecipientsChanged(
                f"Twilio's list shows another send under the tag {KEY_TAG}:{name}: other recipients, another "
                "message, or the same in requests of another size, sent by an earlier try, another task or "
                "another Airflow. This try sent nothing. Give what was given then; or, if this is another "
                "send, another send_key",
                field="send_key",
            )
        return bool(seen)

    def uncertain(self, part: Chunk, when: str, tried: str | None = None) -> SendUncertain:
        tag = f"{TAG}:{self._tag(part)}"
        what = tried or f"its list shows no message tagged {tag}"
        return SendUncertain(
            f"request {part.number + 1} of {len(self.plan.chunks)} ({pluralize(part.count, 'recipient')}) "
            f"was given to Twilio {when}, no reply came, and {what}. Certainly sent: "
            f"{pluralize(self.sent, 'recipient')} in {pluralize(len(self.ids), 'operation')}. It was not "
            "sent again, and none was begun after it. Run the task again, and it looks again. If it stays "
            f"unknown, look for the tag {tag} in Twilio's console: only where it certainly is not there, "
            "clear the task with on_unknown='resend'; on_unknown='assume_sent' goes on without it",
            part=f"request {part.number + 1}",
            key=self._tag(part),
            tried=tried or f"listed messages by tag for {self.lag:.0f} s",
            operation_ids=self.ids,
        )

    def told(self, part: Chunk, seconds: float) -> None:
        log.info(
            "Sent request %d of %d: %s of %s recipients, %s a second",
            part.number + 1,
            len(self.plan.chunks),
            f"{self.sent:,}",
            f"{self.plan.recipients:,}",
            f"{self.sent / max(seconds, 1e-3):,.0f}",
        )

    def _tag(self, chunk: Chunk, entry: Entry | None = None) -> str:
        """The tag that binds a chunk's request: the send, the part, and a hash of content and people."""
        number = entry.part if entry and entry.place >= 0 else chunk.number
        content = f"{self._request.fingerprint}.{chunk.fingerprint}"
        mark = hashlib.sha256(content.encode()).hexdigest()[:16]
        return self.ledger.tag(number, mark, old=entry.old if entry else False)
