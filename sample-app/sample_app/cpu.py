"""Work that costs real CPU time, in pure Python as most applications' work is: it holds the GIL."""

import time

_LOOPS_PER_LOOK = 500  # some 20 microseconds between two looks at the clock


def burn(seconds: float) -> float:
    """Use `seconds` of CPU time of this thread, however long that takes, and return what was used.

    The thread's CPU clock is what a CPU limit throttles and what the cluster bills: under load or throttling the
    wall clock runs on and the work stays the same.
    """
    start = time.thread_time()
    value = 1
    while (used := time.thread_time() - start) < seconds:
        for _ in range(_LOOPS_PER_LOOK):
            value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return used


def longest_collatz(limit: int) -> tuple[int, int]:
    """The start below `limit` whose Collatz sequence is the longest, and that number of steps.

    Formula: n -> n / 2 when even, 3n + 1 when odd, until 1 (OEIS A006877 lists the record starts).
    """
    best = (1, 0)
    for start in range(1, limit):
        number, steps = start, 0
        while number != 1:
            number = number // 2 if number % 2 == 0 else 3 * number + 1
            steps += 1
        if steps > best[1]:
            best = (start, steps)
    return best
