"""The table of docs/metrics.md, from the registry that is scraped."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.metrics import MetricWrapperBase

from tests.documents import sources
from tests.documents.markdown import cell, code, table


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as the endpoint shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def metrics() -> list[Metric]:
    """Every metric, in the order of its definition."""
    made = (each for each in vars(sources.Metrics()).values() if isinstance(each, MetricWrapperBase))
    found = {}
    for each in made:
        (family,) = each.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = Metric(name, family.type, tuple(each._labelnames), family.documentation)
    if set(found) != set(sources.METRICS):
        raise ValueError(f"described and registered metrics differ: {sorted(set(found) ^ set(sources.METRICS))}")
    return [found[name] for name in sources.METRICS]


def metrics_block() -> str:
    """Name, type, labels, meaning."""
    rows = ((code(each.name), each.kind, ", ".join(map(code, each.labels)), cell(each.meaning)) for each in metrics())
    return table(("metric", "type", "labels", "meaning"), rows)
