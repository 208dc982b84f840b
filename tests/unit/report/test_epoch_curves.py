import pytest
from written_sweeps import write_metrics

from fulgurite.report.curves import Curves, band, read_curves, thinned


def test_curves_have_one_value_an_epoch_and_neither_steps_nor_tests(tmp_path):
    write_metrics(tmp_path, [{"val/acc": 0.5, "train/loss": 2.0}, {"val/acc": 0.75, "train/loss": 1.0}])
    curves = read_curves(tmp_path)
    assert curves.epochs == (1, 2)
    assert curves.values == {"val/acc": (0.5, 0.75), "train/loss": (2.0, 1.0)}


def test_an_epoch_without_a_finite_value_is_a_gap(tmp_path):
    write_metrics(tmp_path, [{"val/acc": 0.5, "val/loss": 1.0}, {"val/acc": 0.6, "val/loss": float("nan")}])
    assert read_curves(tmp_path).values == {"val/acc": (0.5, 0.6), "val/loss": (1.0, None)}


@pytest.mark.parametrize("text", ["", "epoch,step\n", "epoch,val/acc\n0,half\n", "\x00"])
def test_a_file_that_holds_no_curves_gives_none(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    assert read_curves(tmp_path) == Curves()


def test_a_folder_without_metrics_has_no_curves(tmp_path):
    assert read_curves(tmp_path) == Curves()


def test_a_line_that_was_written_in_part_is_left_out(tmp_path):
    # 0. is what is there of 0.625, and no accuracy of 0; - is what is there of a number below 0.
    for half in ("1,19,0.", "1,19,-", "1"):
        (tmp_path / "metrics.csv").write_text(f"epoch,step,val/acc,val/loss\n0,9,0.5,1.0\n{half}")
        assert read_curves(tmp_path) == Curves((1,), {"val/acc": (0.5,), "val/loss": (1.0,)})


def test_curves_within_the_budget_stay_whole():
    curves = [Curves(tuple(range(1, 21)), {"a": (0.0,) * 20})] * 5
    assert thinned(curves, budget=100) == (curves, 1)


def test_curves_beyond_the_budget_keep_each_nth_epoch_and_the_last():
    epochs = tuple(range(1, 101))
    curves = [Curves(epochs, {"a": tuple(map(float, epochs)), "b": tuple(map(float, epochs))})] * 3
    kept, every = thinned(curves, budget=100)
    # 600 values for 100 places.
    assert every == 6
    assert kept[0].epochs == (*range(1, 98, 6), 100)
    assert kept[0].values["b"] == tuple(map(float, kept[0].epochs))


def test_no_budget_leaves_fewer_than_eight_points_of_the_longest_curve():
    (kept,), _ = thinned([Curves(tuple(range(1, 33)), {"a": (0.0,) * 32})], budget=1)
    assert len(kept.epochs) >= 8


def test_a_band_is_mean_and_sample_deviation_where_all_curves_have_a_value():
    one = Curves((1, 2, 3), {"a": (1.0, 2.0, 5.0)})
    other = Curves((1, 2), {"a": (3.0, None)})
    assert band([one, other], "a") == [(1, 2.0, pytest.approx(2**0.5))]
    assert band([one], "a") == [(1, 1.0, 0.0), (2, 2.0, 0.0), (3, 5.0, 0.0)]
