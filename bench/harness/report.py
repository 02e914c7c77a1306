# SPDX-License-Identifier: MIT
"""What was measured, on the terminal while it comes, and at the end as a table, build/bench/results.json and a plot."""
import json, os, statistics, sys, time

from . import plot
from .goals import goal

FOLDER = "build/bench"


def shown(value, unit):
    """Three digits that mean something, in the unit that suits."""
    if unit == "ns":
        for factor, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
            if value >= factor:
                return f"{value / factor:.3g} {name}"
    if unit == "B":
        for factor, name in ((2**20, "MiB"), (2**10, "KiB")):
            if value >= factor:
                return f"{value / factor:.3g} {name}"
    if value >= 10000:
        return f"{value / 1e6:.3g} M {unit}" if value >= 1e6 else f"{value / 1e3:.3g} k {unit}"
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


class Row:
    """One figure of both guests. values: [(motor, linux)] by pair; a state in place of them when one of the two has none."""

    def __init__(self, part, name, unit, values, less_is_better=True, state="ok", note=""):
        self.part, self.name, self.unit, self.state, self.note = part, name, unit, state, note
        self.values = values
        self.ratios = [(l / m if less_is_better else m / l) for m, l in values if m > 0 and l > 0]
        self.goal = goal(part, name)

    @property
    def ratio(self):
        return statistics.median(self.ratios) if self.ratios else None

    def lines(self):
        def spread(values):
            low, high = min(values), max(values)
            middle = statistics.median(values)
            return f"±{(high - low) / 2 / middle * 100:.0f}%" if middle else ""

        if self.state != "ok":
            return f"  {self.name:44} {self.state:>36}  {self.note}"
        motor, linux = [m for m, _ in self.values], [l for _, l in self.values]
        text = (f"  {self.name:44} {shown(statistics.median(motor), self.unit):>13} {spread(motor):>6}"
                f" {shown(statistics.median(linux), self.unit):>13} {spread(linux):>6}")
        if self.ratios:
            text += f" {self.ratio:9.2f} ×  {min(self.ratios):.2f}–{max(self.ratios):.2f}"
        if self.goal:
            text = f"{text:118} goal {self.goal:g} × {'reached' if self.ratio >= self.goal else 'MISSED'}"
        return text

    def json(self):
        return {"part": self.part, "row": self.name, "unit": self.unit, "state": self.state, "note": self.note,
                "motor": [m for m, _ in self.values], "linux": [l for _, l in self.values], "ratios": self.ratios,
                "ratio": self.ratio, "goal": self.goal}


class Results:
    def __init__(self, settings, rounds):
        self.settings, self.rounds, self.rows, self.notes, self.counts = settings, rounds, [], [], {}
        self.started = time.time()
        os.makedirs(FOLDER, exist_ok=True)
        print(f"{settings['qemu']}, {settings['accelerator']}, {settings['host']}, {settings['host_cpus']} CPUs; "
              f"Linux {settings['linux']}; {rounds} rounds")
        print(f"  {'':44} {'Motor':>13} {'':>6} {'Linux':>13} {'':>6} {'Motor better by':>17}")

    def part(self, name):
        print(f"{name}  ({time.time() - self.started:.0f} s)")

    def progress(self, text):
        """One line that the next one replaces; nothing when nobody looks."""
        if sys.stderr.isatty():
            print(f"\r\033[K  … {text}", end="", file=sys.stderr, flush=True)

    def note(self, text):
        self.notes.append(text)
        print(f"  {text}", flush=True)

    def add(self, *args, **kwargs):
        row = Row(*args, **kwargs)
        self.rows.append(row)
        self.progress("")
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        print(row.lines(), flush=True)

    def finish(self):
        compared = [r for r in self.rows if r.ratios]
        missed = [r for r in compared if r.goal and r.ratio < r.goal]
        with open(f"{FOLDER}/results.json", "w") as f:
            json.dump({"settings": self.settings, "rounds": self.rounds, "seconds": round(time.time() - self.started),
                       "notes": self.notes, "counts": self.counts,
                       "rows": [r.json() for r in self.rows]}, f, indent=1)
            f.write("\n")
        plot.write(f"{FOLDER}/results.svg", self.settings, compared)
        print(f"{len(compared)} rows compared in {time.time() - self.started:.0f} s, {len(missed)} below their goal; "
              f"{FOLDER}/results.json, {FOLDER}/results.svg")
