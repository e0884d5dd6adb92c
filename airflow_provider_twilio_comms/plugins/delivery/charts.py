"""Charts as inline SVG, with a text for screen readers. Pure.

Colours come from the style sheet: shapes carry classes only, since the page's policy allows no inline style.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from airflow_provider_twilio_comms.plugins.delivery.overview import Bucket, Counters, Point, round_down

__all__ = ["bar", "columns", "moment", "stamp", "steps", "told"]

# The drawing is stretched to the width that there is, so text is outside it, in HTML.
WIDTH, HEIGHT = 960, 200
TICKS = 7
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVERY = (HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 7 * DAY, 14 * DAY, 28 * DAY)
PARTS = (("delivered", "delivered"), ("failed", "failed"), ("open", "open"))


def columns(buckets: Sequence[Bucket], label: str) -> Markup:
    """Draw stacked columns of counters, one for each period; the last one always has its date below."""
    top = _round_up(max((bucket.counters.total for bucket in buckets), default=0))
    slot = WIDTH / max(1, len(buckets))
    shapes = _grid()
    for place, (start, counters) in enumerate(buckets):
        foot = float(HEIGHT)
        stack = []
        for name, kind in PARTS:
            height = _high(getattr(counters, name), top)
            if height:
                stack.append(_rect(place * slot + slot * 0.12, foot - height, slot * 0.76, height, kind))
                foot -= height
        if stack:
            what = f"{moment(start)}: {told(counters)}"
            shapes.append(Markup("<g><title>{}</title>{}</g>").format(what, Markup("").join(stack)))
    return _picture(shapes, label, top, _ticks([bucket.start for bucket in buckets]))


def _ticks(starts: Sequence[datetime]) -> list[Markup]:
    """Label the last column and those that begin at round times; a phone has room for every other one."""
    if not starts:
        return []
    last = starts[-1]
    every = next((each for each in EVERY if last - starts[0] <= TICKS * each), EVERY[-1])
    rounds = [round_down(at, every) for at in starts]
    before = [None if starts[0] == rounds[0] else rounds[0], *rounds]
    named = [
        at for at, one, two in zip(starts, rounds, before, strict=False) if one != two and last - at >= every
    ]
    named.append(last)
    kinds = {at: "tick minor" if back % 2 else "tick" for back, at in enumerate(reversed(named))}
    short = last - starts[0] <= DAY
    return [_tick(kinds[at], at, short) if at in kinds else Markup("<span></span>") for at in starts]


def steps(points: Sequence[Point], label: str) -> Markup:
    """Draw the number of accepted recipients over time."""
    if not points:
        return _picture(_grid(), label, 0, ())
    top = _round_up(points[-1].accepted)
    first, span = points[0].at, points[-1].at - points[0].at
    path, last = [f"M0 {HEIGHT}"], float(HEIGHT)
    for at, accepted in points:
        x = WIDTH * ((at - first) / span) if span else WIDTH
        path.append(f"L{x:.1f} {last:.1f}")
        last = HEIGHT - _high(accepted, top)
        path.append(f"L{x:.1f} {last:.1f}")
    line = " ".join(path)
    shapes = [
        *_grid(),
        Markup('<path class="area" d="{} L{} {} Z"/>').format(line, WIDTH, HEIGHT),
        Markup('<path class="line" d="{}"/>').format(line),
    ]
    ends = [stamp(first, points[-1].at), stamp(points[-1].at, first)]
    return _picture(shapes, label, top, [Markup("<span>{}</span>").format(end) for end in ends], "ends")


def bar(counters: Counters, label: str = "") -> Markup:
    """Draw counters as a bar; without a label it is for a table that gives the numbers too."""
    total, left, shapes = counters.total, 0.0, []
    for name, kind in PARTS:
        width = 100 * getattr(counters, name) / total if total else 0
        if width:
            shapes.append(_rect(left, 0, width, 8, kind))
            left += width
    inside = Markup("").join([_rect(0, 0, 100, 8, "empty"), *shapes])
    spoken = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="bar{}" viewBox="0 0 100 8" preserveAspectRatio="none" {}>{}</svg>').format(
        " wide" if label else "", spoken, inside
    )


def told(counters: Counters) -> str:
    return f"{counters.delivered:,} delivered, {counters.failed:,} failed, {counters.open:,} open"


def moment(at: datetime | None, beside: datetime | None = None) -> str:
    """Format a time in UTC, with seconds if it falls into the same minute as the one beside it."""
    if at is None:
        return ""
    near = beside is not None and f"{at:%Y%m%d%H%M}" == f"{beside:%Y%m%d%H%M}"
    return f"{at:%Y-%m-%d %H:%M:%S}" if near else f"{at:%Y-%m-%d %H:%M}"


def stamp(at: datetime | None, beside: datetime | None = None) -> Markup:
    """Write a time as an element, which the page's script shows in the time zone of Airflow's UI."""
    return _time(at, moment(at, beside)) if at else Markup("")


def _time(at: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", text)


def _tick(kind: str, at: datetime, short: bool) -> Markup:
    text = f"{at:%H:%M}" if short else f"{at:%d %b}"
    return Markup('<span class="{}">{}</span>').format(kind, _time(at, text))


def _picture(
    shapes: Sequence[Markup], label: str, top: int, below: Iterable[Markup], kind: str = "columns"
) -> Markup:
    scale = [top, top // 2, 0] if top > 1 else [top, 0] if top else []
    return Markup(
        '<div class="chart {}"><div class="scale" aria-hidden="true">{}</div>'
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
        '<div class="ticks" aria-hidden="true">{}</div></div>'
    ).format(
        kind,
        Markup("").join(Markup("<span>{:,}</span>").format(count) for count in scale),
        WIDTH,
        HEIGHT,
        label,
        Markup("").join(shapes),
        Markup("").join(below),
    )


def _grid() -> list[Markup]:
    line = Markup('<line class="grid" x1="0" y1="{}" x2="{}" y2="{}"/>')
    return [line.format(y, WIDTH, y) for y in (0, HEIGHT // 2, HEIGHT)]


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        kind, x, y, width, height
    )


def _high(count: int, top: int) -> float:
    """Scale a height, to at least a pixel for anything above zero."""
    return max(1.0, HEIGHT * count / top) if count and top else 0.0


def _round_up(count: int) -> int:
    """Round up to a number whose half is round too, such as 20, 40, 100."""
    if count <= 0:
        return 0
    size: int = 10 ** (len(str(count)) - 1)
    return next(size * step for step in (1, 2, 4, 6, 8, 10) if size * step >= count)
