"""How far the coefficients of a finished linear regression are from those of least squares.

Shapes: N samples, F features.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fulgurite.errors import RunFolderError
from fulgurite.replay.run_folder import open_run


def measure(run: Path) -> Mapping[str, float]:
    """The largest distance of a coefficient from that of least squares on the same points, in standard errors.

    Standard errors are those of least squares: the roots of the diagonal of s^2 (X'X)^-1, with s^2 the sum of squared
    residuals over N - F - 1 (Greene, "Econometric analysis", section 4.4). The last checkpoint is measured.

    Args:
        run: folder of a run with ``model=linear`` on a regression of one number.

    Returns:
        ``coefficients/standard_errors``.

    Raises:
        RunFolderError: for a run of another model, or with no more points than coefficients.
    """
    x, y, own = _points_and_coefficients(run)
    design = np.column_stack([x, np.ones(len(x))])
    spare = len(x) - design.shape[1]
    if spare < 1:
        raise RunFolderError(f"{run} has {len(x)} points for {design.shape[1]} coefficients; measure a run with more")
    best = np.linalg.lstsq(design, y, rcond=None)[0]
    variance = np.square(y - design @ best).sum() / spare
    errors = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    return {"coefficients/standard_errors": float(np.max(np.abs(own - best) / errors))}


def _points_and_coefficients(run: Path) -> tuple[NDArray, NDArray, NDArray]:
    """Training points as the model sees them (N x F), targets (N), and weights and bias (F + 1) for their unit."""
    from torch import nn

    from fulgurite.build import build_data, build_model
    from fulgurite.data.in_memory import InMemoryData
    from fulgurite.models.linear import Linear
    from fulgurite.replay.weights import load_weights

    opened = open_run(run)
    model, data = build_model(opened.cfg), build_data(opened.cfg)
    if not isinstance(model, Linear) or model.spec.task != "regression" or model.spec.num_outputs != 1:
        raise RunFolderError(f"{run} is no linear regression of one number; measure a run of model=linear data=linear")
    assert isinstance(data, InMemoryData)
    load_weights(model, opened.checkpoint("last"))
    data.setup("fit")
    part = data.part("train")
    layer, spec = next(each for each in model.modules() if isinstance(each, nn.Linear)), model.spec
    parts = [layer.weight[0], layer.bias if layer.bias is not None else layer.weight.new_zeros(1)]
    own = np.concatenate([each.detach().double().numpy() for each in parts]) * spec.target_std
    own[-1] += spec.target_mean
    return data.encode(part.x).double().flatten(1).numpy(), part.y[:, 0].double().numpy(), own
