"""The restart schedule."""

from mailgate.ops.backoff import DELAYS, HEALTHY_AFTER, Backoff


def run(lives: list[float]) -> list[float]:
    state, waits = Backoff(), []
    for lived in lives:
        state, wait = state.after_death(lived)
        waits.append(wait)
    return waits


def test_the_first_death_is_answered_at_once() -> None:
    assert run([0.01]) == [0.0]


def test_deaths_in_a_row_wait_longer_each_time_up_to_the_last_step() -> None:
    assert run([0.01] * (len(DELAYS) + 2)) == [*DELAYS, DELAYS[-1], DELAYS[-1]]
    assert list(DELAYS) == sorted(DELAYS)


def test_a_healthy_life_starts_the_schedule_anew() -> None:
    assert run([0.1, 0.1, 0.1, HEALTHY_AFTER, 0.1]) == [DELAYS[0], DELAYS[1], DELAYS[2], DELAYS[0], DELAYS[1]]
