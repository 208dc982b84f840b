import pytest

from fulgurite.reproduce import lanes


@pytest.mark.parametrize(
    ("num_rows", "cores", "has_gpu", "number"),
    [(46, 2, False, 2), (1, 2, False, 1), (46, 64, False, 4), (46, 64, True, 1), (0, 2, False, 1)],
)
def test_a_row_a_core_runs_up_to_four_and_one_on_a_gpu(num_rows, cores, has_gpu, number, monkeypatch):
    monkeypatch.setattr(lanes, "num_cores", lambda: cores)
    assert lanes.num_lanes(num_rows, has_gpu) == number
