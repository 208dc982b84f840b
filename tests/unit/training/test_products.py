"""When oneDNN makes the matrix products, and that it is only where they stay float32."""

import pytest
import torch
from torch import nn

from fulgurite.training import products
from fulgurite.training.products import fast_products, suitable_products

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def restored():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(
    ("model", "batch_size", "chosen"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 512)), 128, "medium"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 128)), 64, "highest"),
        (nn.Conv2d(8, 64, 7), 512, "highest"),
    ],
)
def test_only_large_products_are_made_in_another_way(monkeypatch, model, batch_size, chosen):
    monkeypatch.setattr(products, "_is_exact", lambda: True)
    with suitable_products(model, batch_size, CPU):
        assert torch.get_float32_matmul_precision() == chosen
    assert torch.get_float32_matmul_precision() == "highest"


def test_where_the_other_way_is_not_exact_and_on_a_gpu_nothing_changes(monkeypatch):
    monkeypatch.setattr(products, "_is_exact", lambda: True)
    with fast_products(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "highest"
    monkeypatch.setattr(products, "_is_exact", lambda: False)
    with fast_products(CPU):
        assert torch.get_float32_matmul_precision() == "highest"


def test_what_the_user_has_chosen_comes_back_after_an_error():
    torch.set_float32_matmul_precision("high")
    with pytest.raises(ValueError, match="early"), fast_products(CPU):
        raise ValueError("early")
    assert torch.get_float32_matmul_precision() == "high"


def test_products_stay_float32_where_they_are_made_in_another_way():
    a, b = torch.randn(300, 700), torch.randn(700, 200)
    with fast_products(CPU):
        product = a @ b
    torch.testing.assert_close(product.double(), a.double() @ b.double(), rtol=1e-4, atol=1e-3)
