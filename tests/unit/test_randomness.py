from fulgurite.randomness import Stream, derive_seed


def test_equal_parts_give_equal_seeds():
    assert derive_seed(3, Stream.ORDER, 7) == derive_seed(3, Stream.ORDER, 7)


def test_near_parts_give_unrelated_seeds():
    seeds = {derive_seed(seed, stream, step) for seed in range(10) for stream in Stream for step in range(100)}
    assert len(seeds) == 10 * len(Stream) * 100


def test_the_place_of_a_part_matters():
    assert derive_seed(1, 2) != derive_seed(2, 1)


def test_half_of_the_bits_change_when_one_part_changes_by_one():
    changed = [bin(derive_seed(0, step) ^ derive_seed(0, step + 1)).count("1") for step in range(1000)]
    # 63 bits, each changed with probability 1/2: mean 31.5, standard error of the mean 0.13.
    assert abs(sum(changed) / 1000 - 31.5) < 0.6


def test_a_seed_fits_torch_and_is_not_negative():
    assert all(0 <= derive_seed(step, 2**63) < 2**63 for step in range(1000))
