"""One real Airflow for all of these, with users of every role, and Debian's Chromium to look at it.

With ``TWILIO_SCREENSHOTS=1`` what the tests see is written to ``docs/images``, for the documentation.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_twilio_comms.demo.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DAGS = Path(__file__).with_name("dags")
ROLES = {"ann": "admin", "vic": "viewer", "olaf": "op", "nina": ""}
SIZE = {"width": 1200, "height": 800}


class Site:
    """Airflow as its users see it. ``asked`` holds the hosts of everything that a page has asked for."""

    def __init__(self, stack: Stack, browser: Browser) -> None:
        assert stack.emulator is not None
        self.stack, self.browser, self.url = stack, browser, stack.url
        self.outbox = stack.emulator.url
        self.asked: set[str] = set()
        self._tokens: dict[str, str] = {}
        stack.airflow._session.headers["Authorization"] = f"Bearer {self.token('ann')}"

    def token(self, user: str) -> str:
        if user not in self._tokens:
            body = {"username": user, "password": user}
            reply = requests.post(f"{self.url}/auth/token", json=body, timeout=30)
            reply.raise_for_status()
            self._tokens[user] = str(reply.json()["access_token"])
        return self._tokens[user]

    def page(self, user: str | None = "ann", theme: str = "light") -> Page:
        """A new browser's first page, signed in as that user."""
        context = self.browser.new_context(viewport=SIZE, color_scheme="dark" if theme == "dark" else "light")
        context.set_default_timeout(30_000)
        if user:
            context.add_cookies([{"name": "_token", "value": self.token(user), "url": self.url}])
        context.add_init_script(f"localStorage.setItem('theme', {json.dumps(theme)})")
        context.on("request", self._note)
        return context.new_page()

    def get(self, path: str, user: str | None) -> requests.Response:
        cookies = {"_token": self.token(user)} if user else {}
        return requests.get(f"{self.url}{path}", cookies=cookies, timeout=30)

    def _note(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob"):
            self.asked.add(parts.hostname or parts.scheme)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="package")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    passwords = tmp_path_factory.mktemp("users") / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in ROLES}))
    env = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{name}:{role}" for name, role in ROLES.items()
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    }
    with Stack(DAGS, env=env) as stack:
        yield Site(stack, browser)


def pictured(page: Page, name: str) -> None:
    """For the documentation, where somebody asks for it."""
    if os.environ.get("TWILIO_SCREENSHOTS"):
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1_000)  # what fades in has done so
        page.screenshot(path=IMAGES / f"{name}.png")
