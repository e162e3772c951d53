"""Draws the figures of `make bench` as one SVG: messages delivered each second, by server, for each scenario."""

import html
import pathlib

COLOURS = {"Postroad": ("#2563eb", "#60a5fa"), "other": ("#6b7280", "#9ca3af"), "none": ("#d1d5db", "#d1d5db")}
WIDTH, LABEL, BAR, GAP, HEAD = 860, 240, 18, 4, 34


def colour(name):
    if name.startswith("Postroad"):
        return COLOURS["Postroad"][0 if name == "Postroad Transport" else 1]
    return COLOURS["none" if name == "source to sink" else "other"][0]


def size(octets):
    return f"{octets // 1024} KiB" if octets < 1 << 20 else f"{octets >> 20} MiB"


def draw(report, path):
    """Writes the chart of a report."""
    rows = [row for row in report["summary"] if row.get("deliveredPerSecond")]
    panels = {}
    for row in rows:
        panels.setdefault((row["octets"], row["sessions"]), []).append(row)
    parts, y = [], 30
    for (octets, sessions), panel in panels.items():
        most = max(row["deliveredPerSecond"] for row in panel)
        y += HEAD
        title = f"{sessions} session{'s' if sessions > 1 else ''}, {size(octets)}"
        parts.append(f'<text x="10" y="{y - 10}" class="head">{title}</text>')
        for row in panel:
            width = max(1, (WIDTH - LABEL - 190) * row["deliveredPerSecond"] / most)
            told = f"{row['deliveredPerSecond']:,.0f}/s"
            if not row.get("durable", True):
                told += " · not durable at its 250"
            elif row.get("timesPostfix") and row["server"] not in ("Postfix", "source to sink"):
                told += f" · {row['timesPostfix']:.1f} × Postfix"
            parts.append(
                f'<text x="{LABEL - 8}" y="{y + BAR - 5}" class="name">{html.escape(row["server"])}</text>'
                f'<rect x="{LABEL}" y="{y}" width="{width:.0f}" height="{BAR}" fill="{colour(row["server"])}" rx="2"/>'
                f'<text x="{LABEL + width + 6:.0f}" y="{y + BAR - 5}" class="told">{told}</text>')
            y += BAR + GAP
    foot = f"{report['machine'].split(',')[0]}, every message durable before its 250, unless it says so; {report['date'][:10]}"
    y += 26
    parts.append(f'<text x="10" y="{y}" class="foot">{html.escape(foot)}</text>')
    style = ("text{font:13px system-ui,sans-serif;fill:#111827}.head{font-weight:600}.name{text-anchor:end}"
             ".told,.foot{fill:#4b5563}.title{font-size:16px;font-weight:600}")
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 16}" viewBox="0 0 {WIDTH} {y + 16}">'
           f"<style>{style}</style><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
           f'<text x="10" y="24" class="title">Messages delivered each second</text>{"".join(parts)}</svg>\n')
    pathlib.Path(path).write_text(svg)
