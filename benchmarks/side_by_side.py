"""A ratio of two things that are measured in turn, so that a slower minute slows both.

`side_by_side` measures what a floor and an empty loop take before each round of the subject. It
notes the median of the rounds' ratios as a figure that `goals.py` judges, with its noise.
"""

from __future__ import annotations

import gc
import statistics
import time

from figures import noise_of


def side_by_side(
    benchmark, name, subject, floor, steps, *, per_call, rounds, loop=None, timer=time.perf_counter
):
    """Measure `subject(steps())` against `floor(steps())`; what `loop` takes is not theirs.

    `steps` makes the argument anew for each.
    """
    floors, loops = [], []

    def timed(run):
        argument = steps()
        start = timer()
        run(argument)
        return timer() - start

    def setup():
        gc.collect(0)
        floors.append(timed(floor))
        loops.append(timed(loop) if loop is not None else 0.0)
        return (steps(),), {}

    benchmark.pedantic(subject, setup=setup, rounds=rounds, warmup_rounds=2)
    seconds = benchmark.stats.stats.data
    turns = list(zip(seconds, floors[-len(seconds) :], loops[-len(seconds) :], strict=True))
    benchmark.extra_info.update(
        per_call=per_call,
        figures={
            name: _median_and_noise([mine / its for mine, its, _ in turns]),
            **(
                {f"{name}, loop left out": _median_and_noise(_apart(turns))}
                if loop is not None
                else {}
            ),
        },
    )


def _apart(turns):
    """Return the ratios without the loop; it is timed apart, so that a round may be odd."""
    return [(mine - loop) / (its - loop) for mine, its, loop in turns if its > 1.5 * loop]


def _median_and_noise(ratios):
    return [statistics.median(ratios), noise_of(ratios)] if ratios else [0.0, 0.0]
