"""Draws a bench's output: `python plot.py ratios BENCH.json OUT.svg`, `python plot.py morning MINUTES.json OUT.svg`,
`python plot.py soak SAMPLES.json OUT.svg`.

matplotlib is not among the project's packages: `.venv/bin/uv run --no-project --with matplotlib==3.11.2 python …`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

plt.rcParams["svg.hashsalt"] = "same each time"
GOALS = {
    "cold_vs_idiom": 0.35,
    "cold_vs_idiom_stale": 0.15,
    "cold_vs_floor": 1.1,
    "first_request_ms_at_third_core": 60,
    "warm_instructions_vs_floor": 1.8,
    "batch_vs_naive_tls": 8,
    "send_cpu_ms": 6.7,
    "write_units_send": 14,
    "write_units_callback_idle": 1,
    "write_units_send_with_callbacks": 30,
    "sweep_per_s": 80,
    "reconcile_reads": 3,
}
MORE_IS_BETTER = {"batch_vs_naive_tls", "sweep_per_s"}


def ratios(figures: dict[str, float]) -> Any:
    """Each figure as a share of its goal: below 1 is better than asked for."""
    names = [name for name in GOALS if name in figures]
    shares = [GOALS[n] / figures[n] if n in MORE_IS_BETTER else figures[n] / GOALS[n] for n in names]
    figure, axes = plt.subplots(figsize=(8, 4.5))
    axes.barh(names, shares, color=["#2f7d5d" if share <= 1 else "#c0562f" for share in shares])
    axes.axvline(1, color="#333333", linewidth=1)
    for row, (name, share) in enumerate(zip(names, shares, strict=True)):
        axes.text(share + 0.02, row, f"{figures[name]:g} of {GOALS[name]:g}", va="center", fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.5, *shares) * 1.2)
    axes.set_xlabel("share of the goal (less is better)")
    return figure


def morning(minutes: list[dict[str, float]]) -> Any:
    """Accepted a second, the queue, and memory, minute by minute."""
    shown = {"accepted_per_s": "accepted a second", "queue": "on the queue", "memory_mb": "memory (MB)"}
    return over_time(minutes, shown, "minute", "minutes after 08:00")


def soak(samples: list[dict[str, float]]) -> Any:
    """What is open, the queue, and memory, over the day."""
    shown = {"open": "open messages", "queue": "on the queue", "memory_mb": "memory (MB)"}
    return over_time(samples, shown, "hour", "hours")


def over_time(samples: list[dict[str, float]], shown: dict[str, str], time: str, label: str) -> Any:
    """One curve above the other. `shown`: their labels by the names in the samples; `time`: the name of theirs."""
    figure, axes = plt.subplots(len(shown), 1, figsize=(8, 6), sharex=True)
    for axis, (name, meaning) in zip(axes, shown.items(), strict=True):
        axis.plot([one[time] for one in samples], [one[name] for one in samples], color="#2f5d8c")
        axis.set_ylabel(meaning)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel(label)
    return figure


if __name__ == "__main__":
    kind, data, out = sys.argv[1:]
    drawn = json.loads(Path(data).read_text())
    plots: dict[str, Callable[[Any], Any]] = {"ratios": ratios, "morning": morning, "soak": soak}
    made = plots[kind](drawn)
    made.tight_layout()
    made.savefig(out, metadata={"Date": None})
