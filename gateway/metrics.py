"""What the gateway counts, for Prometheus; labels come from closed sets, never from a request's text."""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

BUCKETS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds; local experts answer in tenths, large ones in tens."""


class Metrics:
    """Everything that is counted. Children are looked up once and kept: `labels()` is dear on the hot path."""

    def __init__(self) -> None:
        self.registry = kept = CollectorRegistry()
        requests = Counter("lyceum_requests_total", "Requests by route and status.", ("route", "status"), registry=kept)
        outcomes = Counter("lyceum_outcomes_total", "What asking brought.", ("expert", "outcome"), registry=kept)
        spend = Counter("lyceum_spend_nano_dollars_total", "Spend.", ("expert",), registry=kept)
        tokens = Counter("lyceum_tokens_total", "Tokens by expert and kind.", ("expert", "kind"), registry=kept)
        seconds = Histogram(
            "lyceum_expert_seconds", "To the end of an answer.", ("expert",), buckets=BUCKETS, registry=kept
        )
        first = Histogram(
            "lyceum_first_chunk_seconds", "To an answer's first chunk.", ("expert",), buckets=BUCKETS, registry=kept
        )
        self.requests, self.outcomes = cache(requests.labels), cache(outcomes.labels)
        self.spend, self.tokens = cache(spend.labels), cache(tokens.labels)
        self.seconds, self.first = cache(seconds.labels), cache(first.labels)

    def text(self) -> bytes:
        """The page for Prometheus."""
        return generate_latest(self.registry)
