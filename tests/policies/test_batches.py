"""A thread that ends before its time leaves nobody waiting."""

import threading

import pytest

from policies.batches import Batches, StoreUnavailable


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_what_is_queued_behind_a_fault_that_nobody_foresaw_is_refused(monkeypatch):
    monkeypatch.setattr("policies.batches.LARGEST_BATCH", 1)
    queued, ended = threading.Event(), []

    def commit(items):
        queued.wait()
        raise SystemError("nobody foresaw this")

    batches: Batches[str] = Batches("the store", commit, lambda: ended.append(True))
    batches.start()
    waiting = [batches.submit(name) for name in "abc"]
    queued.set()
    for future in waiting:
        with pytest.raises(StoreUnavailable, match="has failed"):
            await future
    await batches.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await batches.submit("late")
    assert ended == [True]
