"""The delivery view, a task's links, and the emulator's outbox, as a person sees them."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import Site, pictured

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

pytestmark = [pytest.mark.stack, pytest.mark.browser]

VIEW = "/twilio-delivery/"


def framed(page: Page) -> Frame:
    """The view inside Airflow's UI."""
    page.wait_for_selector("iframe")
    handle = page.query_selector("iframe")
    assert handle is not None
    frame = handle.content_frame()
    assert frame is not None
    frame.wait_for_selector("h1")
    return frame


def cards(frame: Any) -> dict[str, str]:
    names, counts = (
        frame.locator("dl.cards dt").all_inner_texts(),
        frame.locator("dl.cards dd").all_inner_texts(),
    )
    return dict(zip(names, counts, strict=True))


def background(frame: Any) -> str:
    """The colour behind everything; Airflow's own is that of the root element."""
    script = """() => [document.body, document.documentElement].map((each) => getComputedStyle(each))
        .map((each) => each.backgroundColor).find((each) => each !== "rgba(0, 0, 0, 0)")"""
    return str(frame.evaluate(script))


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const read = (colour, under) => {
    canvas.fillStyle = under;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((each) => each / 255)
    .map((each) => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    if (!text.length || !element.checkVisibility() || element.closest("svg, option")) continue;
    let behind = "#ffffff";
    const above = [];
    for (let each = element; each; each = each.parentElement) above.unshift(each);
    for (const each of above) behind = `rgb(${read(getComputedStyle(each).backgroundColor, behind)})`;
    const ink = light(read(getComputedStyle(element).color, behind)), paper = light(read(behind, behind));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) found[`${element.className} ${element.textContent.trim().slice(0, 30)}`] = ratio;
  }
  return found;
}"""


def unreadable(frame: Any) -> dict[str, float]:
    """The texts whose contrast is below what WCAG AA asks for."""
    return dict(frame.evaluate(CONTRASTS))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_navigation_leads_to_the_delivery_view(site: Site, run: str, theme: str) -> None:
    page = site.page("ann", theme)
    page.goto(f"{site.url}/")
    page.get_by_role("button", name=re.compile("Browse")).click()
    page.get_by_role("menuitem", name="Twilio delivery").click()
    frame = framed(page)
    told = cards(frame)
    assert told["operations in flight"] == "50"
    assert told["operations done"] == "953"
    assert frame.locator("#sends tbody tr").count() == 23
    assert frame.locator(".chart svg g").count() >= 20
    assert background(frame) == background(page), "a seam at the frame's edge"
    assert unreadable(frame) == {}
    pictured(page, f"delivery-{theme}")
    frame.locator("#failures").scroll_into_view_if_needed()
    codes = frame.locator("#failures tbody th").all_inner_texts()
    assert {"30003", "21610", "none"} <= set(codes)
    assert "TwilioResendFailedOperator" in frame.locator("#failures").inner_text()
    pictured(page, f"delivery-failures-{theme}")
    page.context.close()


def test_the_theme_follows_airflows(site: Site, run: str) -> None:
    page = site.page("vic", "light")
    page.goto(f"{site.url}/plugin/twilio-delivery")
    frame = framed(page)
    light = background(frame)
    page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    frame.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    for _ in range(100):  # Airflow fades
        if background(frame) == background(page) != light:
            break
        page.wait_for_timeout(100)
    assert background(frame) == background(page) != light
    assert unreadable(frame) == {}
    page.context.close()


@pytest.mark.parametrize("width", [390, 820])
def test_tables_need_no_scrolling_sideways(site: Site, run: str, width: int) -> None:
    page = site.page("vic")
    page.set_viewport_size({"width": width, "height": 844})
    for path in (VIEW, f"{VIEW}task?dag_id=campaigns&run_id=manual__015&task_id=send"):
        page.goto(f"{site.url}{path}")
        cards_ = page.locator("section.card").all()
        assert cards_
        assert all(card.evaluate("card => card.scrollWidth <= card.clientWidth") for card in cards_)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_chart_is_read_on_a_phone(site: Site, run: str, theme: str) -> None:
    page = site.page("vic", theme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site.url}{VIEW}")
    ticks = page.locator(".chart .tick time:visible").all()
    boxes = [tick.bounding_box() for tick in ticks]
    assert len(boxes) >= 3
    assert all(
        box and box["height"] >= 10 and box["x"] > 0 and box["x"] + box["width"] <= 390 for box in boxes
    )
    rights = [box["x"] + box["width"] for box in boxes if box]
    assert all(right < box["x"] for right, box in zip(rights, boxes[1:], strict=False) if box), "they overlap"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert unreadable(page) == {}
    page.context.close()


def test_times_are_shown_in_the_zone_of_airflows_ui(site: Site, run: str) -> None:
    page = site.page("vic")
    page.goto(f"{site.url}{VIEW}")
    utc = page.locator("#sends time").first.inner_text()
    assert page.locator("#zone").inner_text() == "UTC"
    page.evaluate("localStorage.setItem('timezone', 'Asia/Kolkata')")
    page.reload()
    assert page.locator("#zone").inner_text() == "Asia/Kolkata"
    shown = page.locator("#sends time").first.inner_text()
    ahead = datetime.strptime(shown, "%Y-%m-%d %H:%M") - datetime.strptime(utc, "%Y-%m-%d %H:%M")
    assert ahead == timedelta(hours=5, minutes=30)
    assert page.locator(".chart title").count() >= 20
    page.context.close()


def test_a_link_leaves_the_frame_for_the_task(site: Site, run: str) -> None:
    page = site.page("vic")
    page.goto(f"{site.url}/plugin/twilio-delivery")
    framed(page).locator("#sends a", has_text="browser_sends / fails").click()
    page.wait_for_url("**/dags/browser_sends/runs/**/tasks/fails**")
    page.context.close()


def test_a_task_instance_has_a_tab(site: Site, run: str) -> None:
    page = site.page("vic")
    page.goto(f"{site.url}/dags/browser_sends/runs/{run}/tasks/fails")
    page.get_by_role("link", name="Twilio delivery").last.click()
    frame = framed(page)
    assert frame.locator("h1").inner_text() == "fails"
    told = cards(frame)
    assert (told["messages delivered"], told["messages failed"]) == ("2", "4")
    assert sorted(frame.locator("#failures tbody th").all_inner_texts()) == ["21610", "30003", "none"]
    assert frame.locator("#parts code").inner_text().startswith("comms_operation_")
    text = frame.locator("body").inner_text()
    assert "+1202" not in text
    assert "booked" not in text
    pictured(page, "delivery-task")
    page.context.close()


def test_a_task_of_fifty_requests_is_shown_as_it_went_out(site: Site, run: str) -> None:
    page = site.page("vic", "dark")
    page.goto(f"{site.url}{VIEW}task?dag_id=campaigns&run_id=manual__015&task_id=send")
    assert page.locator("#parts tbody tr").count() == 50
    assert "50,000 recipients" in str(page.locator(".chart svg").get_attribute("aria-label"))
    page.context.close()


def test_the_view_is_used_by_keyboard(site: Site, run: str) -> None:
    page = site.page("vic")
    page.goto(f"{site.url}{VIEW}")
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                "(document.activeElement.name || document.activeElement.innerText).trim().split('\\n')[0]"
            )
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"nobody sees where they are: {order[-1]}"
    assert order[:6] == ["Skip to the tasks", "days", "dag_id", "state", "Show", "The same as a table"]
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#over-time").is_visible()
    page.locator("select[name=state]").focus()
    page.keyboard.press("w")  # waiting
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**state=waiting**")
    assert page.locator("#sends tbody tr").count() == 1
    for table in page.locator("table").all():
        assert table.locator("thead th[scope=col]").count() >= 4
    for control in page.locator("select").all():
        assert control.evaluate("element => element.labels.length") == 1
    page.context.close()


def test_a_thousand_operations_are_drawn_in_no_time(site: Site, run: str) -> None:
    page = site.page("vic")
    page.goto(f"{site.url}{VIEW}")
    began = time.perf_counter()
    page.goto(f"{site.url}{VIEW}?days=30")
    page.wait_for_selector("#sends")
    assert time.perf_counter() - began < 5
    assert int(cards(page)["operations done"]) > 900
    page.context.close()


def test_a_task_links_to_its_messages_in_the_outbox(site: Site, run: str) -> None:
    page = site.page("vic")
    page.goto(f"{site.url}/dags/browser_sends/runs/{run}/tasks/arrives/details")
    link = page.get_by_role("link", name="Twilio messages")
    address = str(link.get_attribute("href"))
    assert address.startswith(f"{site.outbox}/?search=comms_operation_")
    pictured(page, "extra-link")
    page.goto(address)
    page.wait_for_selector("#messages .DELIVERED")
    assert page.locator("#messages tbody tr").count() == 4
    assert "Your table is booked." in page.locator("#messages").inner_text()
    assert page.locator("#operations tbody tr").count() == 2
    pictured(page, "outbox")
    page.context.close()


def test_the_outbox_is_read_on_a_phone(site: Site, run: str) -> None:
    page = site.page("vic")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site.outbox}/")
    page.wait_for_selector("#messages .state")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('#messages').scrollWidth") <= 390
    row = page.locator("#messages tbody tr").first.bounding_box()
    assert row is not None
    assert row["height"] < 180
    assert re.search(r"20\d\d.*(UTC|GMT|[A-Z]{3})", page.locator("#messages td").first.inner_text())
    assert unreadable(page) == {}
    page.context.close()


def test_nothing_was_asked_of_anybody_else(site: Site, run: str) -> None:
    assert site.asked == {"127.0.0.1"}
