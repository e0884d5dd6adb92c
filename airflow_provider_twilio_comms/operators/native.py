"""DAGs that render their templates as native objects (``render_template_as_native_obj``)."""

from __future__ import annotations

from typing import Any

from airflow.sdk.definitions.context import render_template

__all__ = ["NumbersStayText"]


class NumbersStayText:
    """Leaves phone numbers alone: to Python, so to a native template, +15005550006 is an integer."""

    def _render(self, template: Any, context: Any, dag: Any = None) -> Any:
        rendered = super()._render(template, context, dag)  # type: ignore[misc]
        if isinstance(rendered, int):
            text = str(render_template(template, context, native=False))
            return text if text.startswith("+") else rendered
        return rendered
