"""Rights to the delivery view: nobody sees a DAG, a count or a row that Airflow would not show them."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Site
from tests.browser.test_delivery_view import VIEW, cards, framed

pytestmark = [pytest.mark.stack, pytest.mark.browser]

BOTH = {"browser_sends", "campaigns"}
# The DAGs that each user sees, or the status that they get in place of a page.
SEEN: dict[str, dict[str | None, set[str] | int]] = {
    "simple": {"ann": BOTH, "vic": BOTH, "olaf": BOTH, "nina": 403, None: 401},
    "fab": {
        "ann": BOTH,
        "vic": BOTH,
        "vera": BOTH,
        "olaf": BOTH,
        "tim": {"browser_sends"},
        "kim": 403,
        "joe": 403,
        "zoe": 403,
        "nina": 403,
        None: 401,
    },
}


def pages(run: str) -> dict[str, str | None]:
    """List addresses of the view by the DAG whose rights they ask for; None for all of them."""
    overviews = [f"{VIEW}{query}" for query in ("", "?days=1", "?days=30&state=done", "?page=2", "?dag_id=~")]
    tasks = {"browser_sends": (run, "fails"), "campaigns": ("manual__015", "send")}
    named = {
        f"{VIEW}{query}": dag
        for dag, (run_id, task) in tasks.items()
        for query in (
            f"?dag_id={dag}",
            f"?days=30&dag_id=browser_sends&dag_id={dag}",
            f"task?dag_id={dag}&run_id={run_id}&task_id={task}",
            f"task?run_id={run_id}&task_id={task}&dag_id=browser_sends&dag_id={dag}",
        )
    }
    return {**dict.fromkeys(overviews), **named}


def test_each_user_gets_the_pages_of_the_dags_that_they_may_read(site: Site, run: str) -> None:
    asked = pages(run)
    for user, seen in SEEN[site.manager].items():
        expected = {
            path: seen if isinstance(seen, int) else 200 if dag is None or dag in seen else 403
            for path, dag in asked.items()
        }
        replies = {path: site.get(path, user) for path in asked}
        assert {path: reply.status_code for path, reply in replies.items()} == expected, user
        hidden = BOTH if isinstance(seen, int) else BOTH - seen
        for path, reply in replies.items():
            assert not [dag for dag in hidden if dag in reply.text], (user, path)


def test_counts_charts_and_rows_are_those_of_readable_dags(site: Site, run: str) -> None:
    told = {
        user: figures(site.get(VIEW, user).text)
        for user, seen in SEEN[site.manager].items()
        if not isinstance(seen, int)
    }
    everything = told.pop("ann")
    assert everything["operations"] == {"in flight": "50", "done": "953"}
    if one := told.pop("tim", None):
        assert one["operations"] == {"in flight": "0", "done": "2"}
        # Four of one send, and two of the other, arrived.
        assert one["messages"] == {"delivered": "6", "failed": "4", "open": "0"}
        assert one["columns"] == [6, 4, 0]
        assert one["rows"] == 2
        assert one["reasons"] == {"21610", "30003", "none"}
    assert list(told.values()) == [everything] * len(told)


def figures(page: str) -> dict[str, object]:
    """Read all that the overview counts: its tiles, columns, rows and reasons."""
    tiles = dict(re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", page))
    columns = re.findall(r"<title>[^<]*: ([\d,]+) delivered, ([\d,]+) failed, ([\d,]+) open</title>", page)
    tables = {
        name: re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        for name, body in re.findall(r'<table id="([\w-]+)"[^>]*>.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    }
    return {
        "operations": {
            name.removeprefix("operations "): tiles[name] for name in tiles if name.startswith("operations")
        },
        "messages": {
            name.removeprefix("messages "): tiles[name] for name in tiles if name.startswith("messages")
        },
        "columns": [
            sum(int(each.replace(",", "")) for each in column) for column in zip(*columns, strict=True)
        ],
        "rows": len(tables["sends"]),
        "reasons": {
            re.sub(r"<[^>]*>", "", re.findall(r"<th[^>]*>(.*?)</th>", row, re.DOTALL)[0]).strip()
            for row in tables["failures"]
        },
    }


def test_a_role_for_one_dag_sees_it_in_the_browser_and_nothing_else(site: Site, run: str) -> None:
    if "tim" not in SEEN[site.manager]:
        pytest.skip("the simple auth manager has no rights per DAG")
    page = site.page("tim")
    page.goto(f"{site.url}/")
    page.get_by_role("button", name=re.compile("Browse")).click()
    page.get_by_role("menuitem", name="Twilio delivery").click()
    frame = framed(page)
    assert cards(frame)["operations done"] == "2"
    assert frame.locator("#sends tbody tr").count() == 2
    assert "campaigns" not in frame.content()
    frame.locator("#sends a", has_text="browser_sends / fails").click()
    page.wait_for_url("**/dags/browser_sends/runs/**/tasks/fails**")
    page.get_by_role("link", name="Twilio delivery").last.click()
    frame = framed(page)
    assert (cards(frame)["messages delivered"], cards(frame)["messages failed"]) == ("2", "4")
    page.goto(f"{site.url}{VIEW}?dag_id=campaigns")
    assert page.locator("#sends").count() == 0
    assert "campaigns" not in page.content()
    page.context.close()
