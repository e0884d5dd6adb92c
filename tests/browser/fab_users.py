"""Create users and roles of FAB's auth manager, in a process with the environment of their Airflow.

``python -m tests.browser.fab_users '{"tim": ["reads one DAG"]}'``; each user's password is their name.
"""

from __future__ import annotations

import json
import sys

__all__ = ["ROLES", "main"]

_DAG = "DAG:browser_sends"
_TASKS = ("Website", "DAG Runs", "Task Instances")

# The resources that roles of our own may read: a DAG, and kinds of things of all readable DAGs.
ROLES: dict[str, tuple[str, ...]] = {
    "no rights": (),
    "reads plugins": ("Plugins",),  # without it, nobody is shown a plugin's entries and tabs
    "reads one DAG": (*_TASKS, "XComs", _DAG),
    "reads one DAG without XComs": (*_TASKS, _DAG),
    "reads one DAG without tasks": ("Website", "XComs", _DAG),
    "reads XComs of no DAG": (*_TASKS, "XComs"),
}


def main(users: dict[str, list[str]]) -> None:
    """Create FAB's tables, Airflow's own roles, ours, and the users with the roles named."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.providers.fab.auth_manager.models.db import FABDBManager
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        FABDBManager(session).initdb()
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        for name, resources in ROLES.items():
            role = manager.add_role(name)
            for resource in resources:
                manager.add_permission_to_role(role, manager.create_permission("can_read", resource))
        for name, names in users.items():
            roles = [manager.find_role(each) for each in names]
            assert manager.add_user(name, name, name, f"{name}@example.com", roles, name), name


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
