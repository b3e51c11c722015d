"""What is counted for Prometheus."""

from gateway.metrics import BUCKETS, Histogram


def test_a_duration_counts_in_the_first_bucket_that_holds_it():
    histogram = Histogram("seconds", "Durations.", "expert")
    histogram.observe("small", [BUCKETS[3], 0.0, BUCKETS[-1] + 1.0, BUCKETS[3] + 0.01])
    histogram.observe("small", (BUCKETS[0],))
    counts = [0] * (len(BUCKETS) + 1)
    counts[0], counts[3], counts[4], counts[-1] = 2, 1, 1, 1
    assert histogram.counts == {"small": counts}
    [family] = histogram.families()
    told = [sample.value for sample in family.samples if sample.name == "seconds_bucket"]
    assert told == [2, 2, 2, 3, *[4] * (len(BUCKETS) - 4), 5]
