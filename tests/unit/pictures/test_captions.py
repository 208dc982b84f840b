import torch

from fulgurite.pictures.data import captions_of
from fulgurite.pictures.scene import Seen
from fulgurite.spec import DataSpec


def spec_of(task: str, number: int, **options) -> DataSpec:
    return DataSpec(task, (1, 2, 2), number, "val/loss", "min", **options)


def test_a_sample_is_captioned_by_class_labels_or_numbers() -> None:
    labels = spec_of("multilabel", 2, names=("even", "large"))
    assert captions_of(torch.tensor([3, 7]), spec_of("classification", 10)) == ["3", "7"]
    assert captions_of(torch.tensor([[1.0, 1], [0, 1], [0, 0]]), labels) == ["even, large", "large", "-"]
    assert captions_of(torch.tensor([[14.0, 9.5]]), spec_of("regression", 2)) == ["14, 9.5"]


def test_yes_and_no_are_counted_as_two_classes_with_either_head() -> None:
    targets = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    for head, output in (("none", [0.5, 0.3, -1.0, 2.0]), ("sigmoid", [0.6, 0.55, 0.2, 0.9])):
        seen = Seen()
        seen.add(
            (torch.zeros(4, 1, 2, 2), targets),
            {"output": torch.tensor(output).unsqueeze(1)},
            spec_of("binary", 1, head=head),
        )
        assert seen.counts().tolist() == [[1, 1], [0, 2]]
        assert seen.worst().label.tolist() == [0]


def test_several_labels_are_no_classes_to_be_counted() -> None:
    seen = Seen()
    seen.add((torch.zeros(1, 1, 2, 2), torch.ones(1, 2)), {"output": torch.ones(1, 2)}, spec_of("multilabel", 2))
    assert len(seen) == 0
