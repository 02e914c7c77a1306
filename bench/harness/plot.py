# SPDX-License-Identifier: MIT
"""The ratios as a bar chart on a logarithmic scale, as SVG: right of 1 Motor is better, left of it Linux."""
import html, math

WIDTH, LABEL, LINE, TOP = 960, 330, 18, 56


def write(path, settings, rows):
    if not rows:
        return
    high = max(2.0, max(max(r.ratio, r.goal or 0) for r in rows)) * 1.1
    low = min(0.5, min(r.ratio for r in rows)) / 1.1
    scale = (WIDTH - LABEL - 70) / math.log(high / low)

    def x(ratio):
        return LABEL + math.log(min(max(ratio, low), high) / low) * scale

    height = TOP + LINE * len(rows) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           f'<text x="10" y="20" font-size="15">Motor beside Linux {html.escape(settings["linux"])} '
           f'({html.escape(settings["accelerator"])}): how many times better; | is the goal</text>']
    tick = 2.0 ** math.ceil(math.log2(low))
    while tick <= high:
        out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 8}" y2="{height - 16}" '
                   f'stroke="{"#000" if tick == 1 else "#ddd"}"/>'
                   f'<text x="{x(tick):.1f}" y="{TOP - 12}" text-anchor="middle" fill="#555">{tick:g}×</text>')
        tick *= 2
    for i, row in enumerate(rows):
        y, good = TOP + LINE * i, row.ratio >= (row.goal or 1)
        left, right = sorted((x(1), x(row.ratio)))
        out.append(f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{html.escape(row.part)}: {html.escape(row.name)}</text>'
                   f'<rect x="{left:.1f}" y="{y + 3}" width="{max(right - left, 1):.1f}" height="{LINE - 6}" '
                   f'fill="{"#3a7d44" if good else "#c0392b"}"/>'
                   f'<line x1="{x(min(row.ratios)):.1f}" x2="{x(max(row.ratios)):.1f}" y1="{y + 9}" y2="{y + 9}" stroke="#333"/>'
                   f'<text x="{max(right, x(1)) + 6:.1f}" y="{y + 13}" fill="#333">{row.ratio:.2f}</text>')
        if row.goal:
            out.append(f'<line x1="{x(row.goal):.1f}" x2="{x(row.goal):.1f}" y1="{y + 1}" y2="{y + LINE - 1}" '
                       f'stroke="#1f3a93" stroke-width="2"/>')
    out.append("</svg>\n")
    with open(path, "w") as f:
        f.write("\n".join(out))
