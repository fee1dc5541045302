"""Jobs of several threads: in order, each once, and the first error ends them."""

import threading
import time

import pytest

from s2nir.emulate.pool import in_order


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_results_come_in_order_and_each_job_is_done_once(workers):
    done, all_at_work = [], threading.Barrier(workers, timeout=60)

    def job(k):
        if k < workers:  # each is held by a thread of its own until all are there
            all_at_work.wait()
        time.sleep(0.001 * (k * 7 % 5))
        done.append((k, threading.get_ident()))
        return k * k

    assert list(in_order(job, 40, workers)) == [k * k for k in range(40)]
    assert sorted(k for k, _ in done) == list(range(40))
    assert len({t for _, t in done}) == workers


@pytest.mark.parametrize("mine", [True, False])
def test_an_error_of_any_thread_is_raised_and_no_more_is_begun(mine):
    here, begun, both = threading.get_ident(), [], threading.Barrier(2, timeout=60)

    def job(k):
        begun.append(k)
        if k < 2:
            both.wait()
        time.sleep(0.002)
        if k >= 4 and (threading.get_ident() == here) == mine:
            raise ValueError(f"job {k}")
        return k

    with pytest.raises(ValueError, match="job"):
        list(in_order(job, 1_000, 2))
    assert len(begun) < 500


def test_who_stops_asking_ends_the_jobs():
    begun = []

    def job(k):
        begun.append(k)
        time.sleep(0.001)
        return k

    found = in_order(job, 1_000, 2)
    assert next(found) == 0
    found.close()
    assert len(begun) < 500
