"""Measurements as text and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from measure import Measurements, Target

HEADER = ("", "median", "min .. max", "peak memory", "microframe to it", "target", "")
SCALES = ((1e-3, 1e6, "us"), (1.0, 1e3, "ms"), (float("inf"), 1.0, "s"))


def table(measurements: Measurements) -> str:
    """A row's title, with a line for each contender."""
    row = measurements.row
    lines = [HEADER, *(_cells(measurements, contender.name) for contender in row.contenders)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [f"  {name}: {note}" for name, note in _notes(measurements)]
    return "\n".join([f"{row.name}: {row.title}", *(f"  {line}" for line in text), *notes])


def _cells(measurements: Measurements, name: str) -> tuple[str, ...]:
    row = measurements.row
    if name in measurements.skipped:
        return name, "skipped", "", "", "", "", measurements.skipped[name]
    is_first = name == row.contenders[0].name
    values, unit = measurements.values(name), row.unit
    median = quantity(statistics.median(values), unit)
    if row.steps:
        median += f" ({quantity(statistics.median(values) / row.steps, unit)} a step)"
    peak = _peak(measurements, name)
    comparison, targets = "", [target for target in row.targets if target.against == ("" if is_first else name)]
    kind = targets[0].kind if targets else "ratio"
    compared = [] if is_first else measurements.compared(name, kind)
    if compared:
        comparison = f"{comparison_text(statistics.median(compared), kind)} ({_span(compared, kind)})"
    return (
        name,
        median,
        _span(values, unit),
        "" if peak is None else f"{peak / 2**20:.0f} MiB",
        comparison,
        ", ".join(f"<= {comparison_text(target.at_most, _form(target, unit))}" for target in targets),
        ", ".join(_verdict(measurements, target) for target in targets),
    )


def quantity(value: float, unit: str) -> str:
    """A value with its unit."""
    if unit != "seconds":
        return f"{value:g} {unit}"
    factor, name = next((factor, name) for limit, factor, name in SCALES if abs(value) < limit)
    return f"{value * factor:.3g} {name}"


def comparison_text(value: float, kind: str) -> str:
    """What a target holds, by its form: a factor, seconds more, or a quantity of some unit."""
    if kind == "ratio":
        return f"{value:.2f}x"
    return f"{value * 1e3:+.0f} ms" if kind == "difference" else quantity(value, kind)


def _peak(measurements: Measurements, name: str) -> int | None:
    peaks = [int(result["peak_memory"]) for result in measurements.results[name] if result["peak_memory"] is not None]
    return max(peaks, default=None)


def _form(target: Target, unit: str) -> str:
    return target.kind if target.against else unit


def _span(values: list[float], form: str) -> str:
    return f"{comparison_text(min(values), form)} .. {comparison_text(max(values), form)}"


def _verdict(measurements: Measurements, target: Target) -> str:
    outcome = measurements.outcome(target)
    return "not measured" if outcome is None else "met" if outcome[1] else "MISSED"


def _notes(measurements: Measurements) -> Iterator[tuple[str, str]]:
    for contender in measurements.row.contenders:
        results = measurements.results.get(contender.name)
        if not results:
            continue
        if "finding" in results[0]:
            yield contender.name, results[0]["finding"]
        if measurements.agrees(contender.name) is False:
            yield contender.name, f"RESULT DIFFERS: {results[0]['result'][:3]}"


def as_json(measurements: Measurements) -> dict[str, Any]:
    """Everything that was measured, and what follows from it."""
    row = measurements.row
    contenders: dict[str, Any] = {
        name: {
            "values": measurements.values(name),
            "median": statistics.median(measurements.values(name)),
            "ratios": measurements.compared(name, "ratio") if row.unit == "seconds" else None,
            "peak_memory": _peak(measurements, name),
            "agrees": measurements.agrees(name),
            "finding": results[0].get("finding"),
        }
        for name, results in measurements.results.items()
    }
    targets = []
    for target in row.targets:
        outcome = measurements.outcome(target)
        targets.append(
            {
                "at_most": target.at_most,
                "kind": target.kind,
                "against": target.against or None,
                "measured": outcome[0] if outcome else None,
                "met": outcome[1] if outcome else None,
            }
        )
    return {
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "steps": row.steps,
        "contenders": contenders,
        "skipped": measurements.skipped,
        "targets": targets,
    }
