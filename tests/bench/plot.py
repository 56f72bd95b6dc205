# SPDX-License-Identifier: MIT
"""A bar chart in SVG: a group of bars for each row, a line at 1."""
from html import escape

COLOURS = ["#b5651d", "#1f6f8b"]
LEFT, WIDTH, BAR, GAP, TOP = 290, 560, 11, 10, 62


def bar(x, y, width, colour, text):
    return (f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}"/>'
            f'<text x="{x + width + 4:.1f}" y="{y + BAR - 2}" font-size="10">{text}</text>')


def legend(names):
    return [f'<rect x="{LEFT + 130 * i}" y="32" width="12" height="12" fill="{COLOURS[i]}"/>'
            f'<text x="{LEFT + 130 * i + 17}" y="42">{escape(name)}</text>' for i, name in enumerate(names)]


def bars(title, names, rows, one="native"):
    """`rows`: (label, a value or None for each of `names`). `one`: what the line at 1 stands for."""
    step = BAR * len(names) + GAP
    scale = WIDTH / max(v for _, values in rows for v in values if v)
    height = TOP + step * len(rows) + 20
    out = ["<!-- SPDX-License-Identifier: MIT -->", f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{height}" '
           'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="16" y="20" font-size="15">{escape(title)}</text>', *legend(names)]
    for i, (label, values) in enumerate(rows):
        y = TOP + i * step
        out.append(f'<text x="{LEFT - 8}" y="{y + step / 2}" text-anchor="end">{escape(label)}</text>')
        out += [bar(LEFT, y + k * BAR, v * scale, COLOURS[k], f"{v:.2f}") for k, v in enumerate(values) if v]
    x = LEFT + scale
    out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 14}" stroke="black" '
               f'stroke-dasharray="3 3"/><text x="{x:.1f}" y="{height - 3}" text-anchor="middle" '
               f'font-size="10">{escape(one)}</text></svg>')
    return "\n".join(out) + "\n"
