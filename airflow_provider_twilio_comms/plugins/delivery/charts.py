"""Charts as inline SVG, with a text for screen readers. Pure.

Colours come from the style sheet: shapes carry classes only, since the page's policy allows no inline style.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from airflow_provider_twilio_comms.plugins.delivery.overview import Bucket, Counters, Point

__all__ = ["bar", "columns", "moment", "steps", "told"]

WIDTH, HEIGHT = 960, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 28
PARTS = (("delivered", "delivered"), ("failed", "failed"), ("open", "open"))


def columns(buckets: Sequence[Bucket], label: str) -> Markup:
    """Draw stacked columns of counters, one for each period."""
    top = _round_up(max((bucket.counters.total for bucket in buckets), default=0))
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(buckets))
    shapes = [*_grid(top)]
    for place, (start, counters) in enumerate(buckets):
        left, foot = LEFT + place * slot, float(HEIGHT - BOTTOM)
        stack = []
        for name, kind in PARTS:
            height = _high(getattr(counters, name), top)
            if height:
                stack.append(_rect(left + slot * 0.12, foot - height, slot * 0.76, height, kind))
                foot -= height
        if stack:
            what = f"{moment(start)}: {told(counters)}"
            shapes.append(Markup("<g><title>{}</title>{}</g>").format(what, Markup("").join(stack)))
    starts = [bucket.start for bucket in buckets]
    if len(starts) > 1:
        every = max(1, -(-len(starts) // 7))
        span = starts[-1] - starts[0]
        shapes += [
            _text(LEFT + (place + 0.5) * slot, HEIGHT - 8, _tick(starts[place], span), "middle")
            for place in range(0, len(starts), every)
        ]
    return _picture(shapes, label)


def steps(points: Sequence[Point], label: str) -> Markup:
    """Draw the number of accepted recipients over time."""
    if not points:
        return _picture(_grid(0), label)
    top = _round_up(points[-1].accepted)
    first, span = points[0].at, points[-1].at - points[0].at
    wide, floor = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM
    path, last = [f"M{LEFT} {floor}"], float(floor)
    for at, accepted in points:
        x = LEFT + (wide * ((at - first) / span) if span else wide)
        path.append(f"L{x:.1f} {last:.1f}")
        last = floor - _high(accepted, top)
        path.append(f"L{x:.1f} {last:.1f}")
    line = " ".join(path)
    shapes = [
        *_grid(top),
        Markup('<path class="area" d="{} L{} {} Z"/>').format(line, LEFT + wide, floor),
        Markup('<path class="line" d="{}"/>').format(line),
        _text(LEFT, HEIGHT - 8, moment(first), "start"),
        _text(WIDTH - RIGHT, HEIGHT - 8, moment(points[-1].at), "end"),
    ]
    return _picture(shapes, label)


def bar(counters: Counters) -> Markup:
    """Draw one send's counters as a bar, for a table that gives the numbers too."""
    total, left, shapes = counters.total, 0.0, []
    for name, kind in PARTS:
        width = 100 * getattr(counters, name) / total if total else 0
        if width:
            shapes.append(_rect(left, 0, width, 8, kind))
            left += width
    inside = Markup("").join([_rect(0, 0, 100, 8, "empty"), *shapes])
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(inside)


def told(counters: Counters) -> str:
    return f"{counters.delivered:,} delivered, {counters.failed:,} failed, {counters.open:,} open"


def moment(at: datetime | None) -> str:
    """Format a time in UTC, which the page says once."""
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _picture(shapes: Sequence[Markup], label: str) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join(shapes)
    )


def _grid(top: int) -> list[Markup]:
    shapes = []
    for quarter in range(0, 5, 2):
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * quarter / 4
        shapes.append(
            Markup('<line class="grid" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>').format(
                LEFT, y, WIDTH - RIGHT, y
            )
        )
        shapes.append(_text(LEFT - 8, y + 4, f"{top * quarter // 4:,}", "end"))
    return shapes if top else shapes[:2]


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        kind, x, y, width, height
    )


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _high(count: int, top: int) -> float:
    """Scale a height, to at least a pixel for anything above zero."""
    return max(1.0, (HEIGHT - TOP - BOTTOM) * count / top) if count and top else 0.0


def _tick(at: datetime, span: timedelta) -> str:
    return f"{at:%H:%M}" if span <= timedelta(days=1) else f"{at:%d %b}"


def _round_up(count: int) -> int:
    """Round up to a number whose half is round too, such as 20, 40, 100."""
    if count <= 0:
        return 0
    size: int = 10 ** (len(str(count)) - 1)
    return next(size * step for step in (1, 2, 4, 6, 8, 10) if size * step >= count)
