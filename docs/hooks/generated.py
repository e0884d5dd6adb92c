"""Pages of the reference as Markdown, generated from the code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any

from airflow_provider_twilio_comms import exceptions
from airflow_provider_twilio_comms.api import error_codes
from airflow_provider_twilio_comms.hooks import _metrics
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.provider_info import get_provider_info
from docs.hooks import deviations, figures
from docs.hooks.found import API, calls, classes
from docs.hooks.reach import NAME, reached
from docs.hooks.root import changelog, examples, security
from docs.hooks.tasks import FAMILIES, TASKS, all_operators, family, imported, page, shared_arguments
from tests.contract.disagreements import OMITTED, OMITTED_PARAMETERS

__all__ = ["PAGES"]


def _coverage() -> str:
    makers: dict[str, list[str]] = {}
    for kind in ("operators", "sensors", "transfers", "notifications"):
        for cls in classes(kind):
            link = f"[`{cls.__name__}`][{cls.__module__}.{cls.__name__}]"
            for module, name in reached((cls.__module__, cls.__name__)):
                makers.setdefault(f"{module.removeprefix(f'{API}.')}.{name}", []).append(link)
    other = f"[`TwilioApiRequestOperator`][{NAME}.operators.api_request.TwilioApiRequestOperator]"
    rows = []
    for call in calls():
        fallback = "the client itself" if call.name.startswith("oauth.") else other
        by = ", ".join(sorted(makers.get(call.name, []))) or fallback
        name = f"[`{call.name}`][{API}.{call.name}]"
        short = call.request.replace("/2010-04-01/Accounts/{AccountSid}/", ".../")
        page = f"[{call.page.partition('#')[0].rstrip('/').rpartition('/')[2]}]({call.page})"
        rows.append(f"| `{short}` | {name} | {by} | {page} |")
    left_out = [f"| `{name}` | {reason} |" for name, reason in OMITTED.items()]
    left_out += [f"| {name} | {reason} |" for name, reason in OMITTED_PARAMETERS.items()]
    return _COVERAGE + "\n".join(rows) + "\n" + _LEFT_OUT + "\n".join(left_out) + "\n"


_LEFT_OUT = """
## Left out

What Twilio's documents describe and this package cannot send, and why.

| operation or parameter | reason |
|---|---|
"""


_COVERAGE = """---
hide: [toc]
---

# Coverage of Twilio's API

Every request that this package can make: Twilio's endpoint, the call that describes it, and the tasks whose
code can make that call, as read from the source. A task does not make all of them in every run: prices are
read only for `max_cost`, lists of messages only to find what an earlier try has sent, and a preflight
prepares the request of a send but does not make it. Calls without a task of their own can be made by name,
with `TwilioApiRequestOperator`. `...` is `/2010-04-01/Accounts/{AccountSid}`.

| request | call | tasks | Twilio |
|---|---|---|---|
"""


def _calls(title: str, *wanted: str) -> Callable[[], str]:
    def made() -> str:
        names = sorted({call.name.rpartition(".")[0] for call in calls()})
        chosen = [name for name in names if name.partition(".")[0] in wanted]
        sections = [f"::: {API}.{name}\n    options:\n      show_root_full_path: true\n" for name in chosen]
        return f"# {title}\n\n{_CALLS}\n\n" + "\n".join(sections)

    return made


_CALLS = """A call is a value: it describes a request and how to read its reply, and does nothing by itself.
To make it, import its module from `airflow_provider_twilio_comms.api` and pass the call to a hook:
`TwilioHook().run(operations.fetch(...))` in a worker, `await hook.arun(call)` on an event loop.
`TwilioApiRequestOperator` makes it in a task, by its name below `airflow_provider_twilio_comms.api`."""


def _connection() -> str:
    (connection,) = get_provider_info()["connection-types"]
    fields = [
        f"| `{name}` | {field['schema']['type'][0]} | {field['description']} |"
        for name, field in connection["conn-fields"].items()
    ]
    options = [
        f"| `{name}` | {option['type']} | {_option(option['default'])} | {option['description']} |"
        for section in get_provider_info()["config"].values()
        for name, option in section["options"].items()
    ]
    return (
        "# Connection fields and configuration\n\n"
        f"## Extra fields of a connection of type `{connection['connection-type']}`\n\n"
        "| field | type | meaning |\n|---|---|---|\n" + "\n".join(fields) + "\n\n"
        "## Section `[twilio]` of Airflow's configuration\n\n"
        "Each can also be set in the environment, such as `AIRFLOW__TWILIO__WEBHOOK_ENABLED`.\n\n"
        "| option | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(options) + "\n"
    )


def _metric_table() -> str:
    rows = [
        f"| `{name}` | {metric.kind} | {', '.join(f'`{tag}`' for tag in metric.tags)} | {metric.meaning} |"
        for name, metric in _metrics.METRICS.items()
    ]
    tags = [f"| `{name}` | {meaning} |" for name, meaning in _metrics.TAGS.items()]
    return (
        "# Metrics\n\n"
        "Emitted through Airflow's own metrics: StatsD, Datadog or OpenTelemetry, as `[metrics]` configures "
        "them, with its prefix before each name. Timers are in milliseconds. Plain StatsD drops tags, as it "
        "does with Airflow's own metrics.\n\n"
        "| metric | kind | tags | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "## Tags\n\n| tag | values |\n|---|---|\n" + "\n".join(tags) + "\n"
    )


def _option(default: Any) -> str:
    return "" if default is None else f"`{default}`"


def _errors() -> str:
    kinds = [each for each in exceptions.__all__ if isinstance(getattr(exceptions, each), type)]
    sections = [f"::: {NAME}.exceptions.{each}\n    options:\n      members: []\n" for each in kinds]
    rows = [
        f"| {code} | {known.verdict.value} | {known.meaning} |"
        for code, known in sorted(error_codes._CODES.items())
    ]
    tree = re.search(r"^    TwilioError\n(?:    .*\n)+", exceptions.__doc__ or "", re.M)
    assert tree
    verdicts = [f"| `{each.value}` | {_VERDICTS[each.value]} |" for each in error_codes.Verdict]
    return (
        "# Errors and codes\n\nEvery error of the provider is a `TwilioError`:\n\n"
        f"```text\n{textwrap.dedent(tree[0]).rstrip()}\n```\n\n" + "\n".join(sections) + "\n"
        f"## Retries\n\n::: {NAME}.retry_policy.TwilioRetryPolicy\n\n"
        "## Verdicts\n\n| verdict | meaning |\n|---|---|\n" + "\n".join(verdicts) + "\n\n"
        "A code that is not listed below is judged by its HTTP status: 429 is `retry`, any other 4xx "
        "`configuration`, and everything else `unknown`.\n\n"
        "## Known codes\n\n| code | verdict | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


_VERDICTS = {
    "retry": "The same request may succeed later.",
    "recipient": "This recipient cannot be reached; nothing is wrong with the request.",
    "opt-out": "This recipient opted out; never try again.",
    "configuration": "The account, the sender or the request must be changed first.",
    "unknown": "The cause is not known, and perhaps not even whether the message was sent.",
}

# Path below docs -> the function that writes the page.
PAGES: dict[str, Callable[[], str]] = {
    "examples.md": examples,
    "changelog.md": changelog,
    "security.md": security,
    "reference/operators.md": all_operators,
    **{f"reference/{path}.md": family(path) for path in FAMILIES},
    "reference/arguments.md": shared_arguments,
    "reference/sensors.md": page("Sensors", TASKS, "sensors"),
    "reference/transfers.md": page("Transfers", TASKS, "transfers"),
    "reference/triggers.md": page(
        "Triggers",
        "Two of these are for an `AssetWatcher`; the operators and sensors that wait create the others. "
        "Where you use `common.messaging`, "
        f"`{NAME}.queues.TwilioMessageQueueProvider` makes the inbound one a queue of the scheme `twilio`.",
        "triggers",
    ),
    "reference/notifier.md": page("Notifier", "For callbacks and deadlines.", "notifications"),
    "reference/decorator.md": page(
        "Decorator", "Registered with Airflow as `@task.twilio_message`.", "decorators"
    ),
    "reference/hook.md": lambda: f"# Hook\n\n{imported(TwilioHook)}\n::: {NAME}.hooks.twilio.TwilioHook\n",
    "reference/coverage.md": _coverage,
    "reference/calls-classic.md": _calls("Calls: the classic API", "classic"),
    "reference/calls-comms.md": _calls("Calls: the Communications API", "comms"),
    "reference/calls-other.md": _calls(
        "Calls: services, events, content, prices and look-ups",
        "messaging",
        "events",
        "content",
        "pricing",
        "lookups",
        "oauth",
    ),
    "reference/calls-people.md": _calls("Calls: stored profiles and cohorts", "memory", "audiences"),
    "reference/connection.md": _connection,
    "reference/errors.md": _errors,
    "reference/figures.md": figures.page,
    "reference/metrics.md": _metric_table,
    "reference/emulator.md": deviations.page,
}
