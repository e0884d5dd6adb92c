"""Routes: the handlers of requests by method and path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.http import Problem, spelled

__all__ = ["Handler", "Match", "Route", "Routes", "Table"]

Handler: TypeAlias = Callable[..., Reply]
# anyone: no credentials needed. owner: not for Standard API keys. all: everyone who is authenticated.
Access: TypeAlias = Literal["all", "owner", "anyone"]

_PARAMETER = re.compile(r"\{(\w+)(?::([^}]+))?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """A route. ``test`` marks the few calls that test credentials may make."""

    method: str
    product: str
    template: str
    handler: Handler
    access: Access = "all"
    test: bool = False

    def pattern(self) -> re.Pattern[str]:
        parts, end = [], 0
        for match in _PARAMETER.finditer(self.template):
            parts.append(re.escape(self.template[end : match.start()]))
            parts.append(f"(?P<{spelled(match[1])}>{match[2] or '[^/]+?'})")
            end = match.end()
        return re.compile("".join(parts) + re.escape(self.template[end:]))

    @property
    def choices(self) -> tuple[str, ...]:
        """Names of the parameters that have a few values each, such as a version."""
        return _choices(self.template)

    @property
    def generality(self) -> int:
        """Number of parameters: ``/Messages/Operations`` is tried before ``/Messages/{messageId}``."""
        return len(_PARAMETER.findall(self.template))


@lru_cache(1000)
def _choices(template: str) -> tuple[str, ...]:
    return tuple(spelled(name) for name, values in _PARAMETER.findall(template) if values)


class Routes(list[Route]):
    """The routes of one module, for one product and below one prefix.

    A module makes a ``Routes`` and decorates its handlers; ``twilio.py`` joins them in a ``Table``::

        routes = Routes("comms", "/{version:v1|preview}")

        @routes("GET", "/Messages/{messageId}")
        def fetch(twilio: Twilio, request: Request, version: str, message_id: str) -> Reply: ...
    """

    def __init__(self, product: str, prefix: str = "") -> None:
        super().__init__()
        self.product: str = product
        self.prefix: str = prefix

    def __call__(
        self, method: str, path: str, *, access: Access = "all", test: bool = False
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.append(Route(method, self.product, self.prefix + path, handler, access, test))
            return handler

        return add


class Match(NamedTuple):
    """A route with the values of its path parameters."""

    route: Route
    values: dict[str, str]

    @property
    def label(self) -> str:
        """The route's name in a log: parameters in place of ids, but the version as requested."""

        shown = tuple(self.values[name] for name in self.route.choices)
        return _label(self.route, shown)


@lru_cache(1000)
def _label(route: Route, shown: Sequence[str]) -> str:
    values = dict(zip(route.choices, shown, strict=True))
    template = _PARAMETER.sub(lambda found: values.get(spelled(found[1]), found[0]), route.template)
    return f"/{route.product}{template}"


class Table:
    """A table that finds the route of a request."""

    def __init__(self, modules: Iterable[Routes]) -> None:
        self._of: dict[tuple[str, int], list[tuple[re.Pattern[str], Route]]] = {}
        for route in sorted((route for routes in modules for route in routes), key=lambda r: r.generality):
            key = (route.product, route.template.count("/"))
            self._of.setdefault(key, []).append((route.pattern(), route))

    def find(self, method: str, product: str, path: str) -> Match:
        """Find a request's route. Raises 404 for an unknown path, 405 for an unsupported method."""
        known = False
        for pattern, route in self._of.get((product, path.count("/")), ()):
            found = pattern.fullmatch(path)
            if found and route.method == method:
                return Match(route, found.groupdict())
            known = known or found is not None
        if known:
            raise Problem(405, 20004, "Method not allowed")
        raise Problem(404, 20404, "The requested resource was not found")
