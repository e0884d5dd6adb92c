"""One real Airflow for all of these, with users of every role, and Debian's Chromium to look at it.

Everything is tried twice: under Airflow's simple auth manager, and under FAB's, which knows rights per DAG.

With ``TWILIO_SCREENSHOTS=1`` what the tests see is written to ``docs/images``, for the documentation.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_twilio_comms.demo.settings import copy_template_database
from airflow_provider_twilio_comms.demo.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DAGS = Path(__file__).with_name("dags")
# Users by the auth manager, and their roles in it. The simple one has one role a user, for all DAGs.
ROLES: dict[str, dict[str, list[str]]] = {
    "simple": {"ann": ["admin"], "vic": ["viewer"], "olaf": ["op"], "nina": [""]},
    "fab": {
        "ann": ["Admin"],
        "vic": ["Viewer", "reads plugins"],
        "vera": ["Viewer"],
        "olaf": ["Op"],
        "nina": ["no rights"],
        "tim": ["reads one DAG", "reads plugins"],
        "kim": ["reads one DAG without XComs"],
        "joe": ["reads one DAG without tasks"],
        "zoe": ["reads XComs of no DAG"],
    },
}
SIZE = {"width": 1200, "height": 800}


class Site:
    """Airflow as its users see it. ``asked`` holds the hosts of everything that a page has asked for.

    ``manager`` is the auth manager, a key of ``ROLES``.
    """

    def __init__(self, stack: Stack, browser: Browser, manager: str) -> None:
        assert stack.emulator is not None
        self.stack, self.browser, self.url, self.manager = stack, browser, stack.url, manager
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


@pytest.fixture(scope="package", params=ROLES)
def site(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    manager, home = str(request.param), tmp_path_factory.mktemp("airflow")
    made = {"simple": simple_auth, "fab": fab_auth}[manager](home)
    with made as stack:
        yield Site(stack, browser, manager)


@pytest.fixture(scope="package")
def run(site: Site) -> str:
    """A run of two sends, one of which failed, and a thousand operations of another DAG besides."""
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    from tests.plugins.seeds import Seeds, now

    airflow = site.stack.airflow
    for dag in ("browser_sends", "campaigns"):
        airflow.wait_for_dag(dag)
    run_id = airflow.trigger("browser_sends")
    engine = create_engine(site.stack.sql_alchemy_conn, connect_args={"timeout": 60})
    with Session(engine) as session, session.begin():
        Seeds(session).campaigns("campaigns", now())
    engine.dispose()
    assert airflow.wait_for_run("browser_sends", run_id) == "failed"
    return run_id


def simple_auth(home: Path) -> Stack:
    """An Airflow with the simple auth manager, each user's password being their name."""
    users = ROLES["simple"]
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in users}))
    env = {
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, (role,) in users.items()),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    return _stack(home, env)


def fab_auth(home: Path) -> Stack:
    """An Airflow with FAB's auth manager, each user's password being their name."""
    stack = _stack(
        home, {"CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"}
    )
    copy_template_database(home)
    command = [sys.executable, "-m", "tests.browser.fab_users", json.dumps(ROLES["fab"])]
    done = subprocess.run(command, env=stack.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return stack


def _stack(home: Path, env: dict[str, str]) -> Stack:
    options = {"CORE__TEST_CONNECTION": "Enabled", **env}
    return Stack(DAGS, home=home, env={f"AIRFLOW__{name}": value for name, value in options.items()})


def pictured(page: Page, name: str) -> None:
    """For the documentation, where somebody asks for it."""
    if os.environ.get("TWILIO_SCREENSHOTS"):
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1_000)  # what fades in has done so
        page.screenshot(path=IMAGES / f"{name}.png")
