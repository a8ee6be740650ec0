"""What a monitor reads at /metrics: the ledger as it is, and the questions as they came."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.responses import Response

from indexer.errors import CbirError, LedgerUnavailable, Rejected, Unavailable
from indexer.ledger import Ledger

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STEP_BUCKETS_S = (*BUCKETS_S, 60.0, 300.0)

router = APIRouter(tags=["health"])


def answer_steps() -> Histogram:
    """How long each step of an answer to what was sent takes: told by who answers, shown by `Metrics`."""
    return Histogram(
        "cbir_answer_step_seconds",
        "Time of each step from a study that was sent to its delivered answer.",
        ["step"],
        buckets=STEP_BUCKETS_S,
        registry=None,
    )


class Metrics:
    """Counts questions; reads everything else from the ledger when it is asked."""

    def __init__(self, ledger: Ledger, measured: Sequence[Collector] = ()) -> None:
        """Begin to count; `measured` is what others count."""
        self._registry = CollectorRegistry()
        for collector in (LedgerCollector(ledger), *measured):
            self._registry.register(collector)
        self._questions = Counter(
            "cbir_questions",
            "Questions by way and outcome.",
            ["way", "outcome"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "cbir_question_seconds",
            "Time from a whole question to its answer.",
            ["way"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )

    @contextmanager
    def question(self, way: str) -> Iterator[None]:
        """Count one question and take its time, however it ends."""
        started = time.perf_counter()
        outcome = "error"
        try:
            yield
            outcome = "answered"
        except CbirError as error:
            outcome = error.reason if isinstance(error, Rejected | Unavailable) else outcome
            raise
        finally:
            self._questions.labels(way, outcome).inc()
            self._latency.labels(way).observe(time.perf_counter() - started)

    def text(self) -> bytes:
        """Everything in the text format 0.0.4."""
        return generate_latest(self._registry)


class LedgerCollector(Collector):
    """The ledger's counts as gauges."""

    def __init__(self, ledger: Ledger) -> None:
        """Read from `ledger`."""
        self._ledger = ledger

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the ledger is read when somebody asks, not when we start."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The gauges of this moment; only `cbir_ledger_up` is 0 when the ledger does not answer."""
        up = GaugeMetricFamily("cbir_ledger_up", "Whether the ledger answers.")
        series = GaugeMetricFamily("cbir_series", "Series by state.", labels=["state"])
        reasons = GaugeMetricFamily(
            "cbir_series_reasons", "Series not indexed, by reason.", labels=["reason"]
        )
        lag = GaugeMetricFamily("cbir_lag_seconds", "How long the series that waits longest is overdue.")
        try:
            for state, count in self._ledger.counts().items():
                series.add_metric([state.value], count)
            for reason, count in self._ledger.reasons().items():
                reasons.add_metric([reason], count)
            lag.add_metric([], self._ledger.lag_s(datetime.now(UTC)))
        except LedgerUnavailable:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, series, reasons, lag]


def metrics_of(request: Request) -> Metrics:
    """The metrics of this application."""
    return cast("Metrics", request.app.state.metrics)


TheMetrics = Annotated[Metrics, Depends(metrics_of)]


@router.get("/metrics", response_class=Response)
def metrics(metrics: TheMetrics) -> Response:
    """Prometheus metrics."""
    return Response(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
