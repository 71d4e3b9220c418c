"""What a step took over the steps, on the terminal and as a picture."""

from pathlib import Path
from typing import Any

import plotext

from deployments.scale.report import Step

WIDTH, HEIGHT = 100, 18


def series(steps: list[Step]) -> dict[str, list[float]]:
    """Seconds of each step, by what took them; bare DuckDB's where they were measured."""
    lines = {"load": [step.load.seconds for step in steps], "dbt build": [step.build.seconds for step in steps]}
    bare = [step.bare.load_s + step.bare.build_s for step in steps if step.bare is not None]
    if len(bare) == len(steps):
        lines |= {"load + build": [step.seconds for step in steps], "bare DuckDB, load + build": bare}
    return lines


def on_terminal(steps: list[Step]) -> str:
    """Seconds over millions of rows held, as text without colours."""
    figure: Any = plotext.figure
    figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    figure.title("seconds of a step over millions of events held")
    for marker, (label, seconds) in zip("*o+.", series(steps).items(), strict=False):
        signal = figure.signal(_held(steps), seconds, marker=marker)
        signal.label(label)
        figure.draw(signal)
    return str(plotext.uncolorize(figure.build().string()))


def as_picture(steps: list[Step], path: Path) -> None:
    """The same as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 5), layout="constrained")
    for label, seconds in series(steps).items():
        axes.plot(_held(steps), seconds, label=label, marker="o", markersize=3)
    axes.set(xlabel="millions of events held", ylabel="seconds of a step", title="Load and build against history")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _held(steps: list[Step]) -> list[float]:
    held, so_far = [], 0
    for step in steps:
        so_far += step.load.new_rows
        held.append(so_far / 1e6)
    return held
