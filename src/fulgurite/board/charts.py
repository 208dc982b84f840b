"""The Custom Scalars tab: one page, on which all runs share each chart."""

from typing import Any

_TITLE = "All runs"
# By chart, what its tags match from their beginning on.
_CHARTS = {
    "loss: validation": ["val/loss$"],
    "loss: training": ["train/loss$"],
    "score: validation": ["val/(?!loss$|noise_floor$)"],
    "score: training": ["train/(?!loss$|loss_step$|noise_floor$)"],
    "learning rate": ["lr$"],
    "gradient norm": ["grad_norm$"],
    "samples a second": ["speed/samples_per_s$"],
    "seconds an epoch": ["speed/epoch_s$"],
}


def layout() -> Any:
    """The summary that lays the page out; each run has the same, TensorBoard makes one of them."""
    import numpy as np
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    charts = [
        layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=tags))
        for title, tags in _CHARTS.items()
    ]
    page = layout_pb2.Layout(category=[layout_pb2.Category(title=_TITLE, chart=charts)])
    content = make_tensor_proto(page.SerializeToString(), dtype=np.object_)
    about = metadata.create_summary_metadata()
    return Summary(value=[Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, metadata=about, tensor=content)])
