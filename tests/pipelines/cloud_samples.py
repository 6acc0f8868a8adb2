"""A small point-cloud model with its card, and clouds, for tests of what is built on them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from equizoo.data.modelnet40 import to_unit_sphere
from equizoo.hub.domain import PointCloudDomain
from equizoo.models.vn_dgcnn import VNDGCNN, VNDGCNNConfig
from equizoo.pipelines import pipeline
from equizoo.pipelines.point_clouds import PointCloudClassificationPipeline

CLASSES = ("bed", "chair", "cup", "lamp", "sofa", "table", "vase")


def small_model(relaxed: bool = False) -> VNDGCNN:
    """Return a VN-DGCNN with seven classes and weights that tell clouds apart."""
    torch.manual_seed(0)
    shape = {"classes": len(CLASSES), "neighbours": 8, "widths": (4,), "embedding": 8, "head": (8, 8)}
    model = VNDGCNN(VNDGCNNConfig(**shape, dropout=0.0, relaxed=relaxed))
    nn.init.normal_(model.linear_3.weight)
    clouds = [to_unit_sphere(torch.from_numpy(cloud(64, seed))).float() for seed in range(16)]
    with torch.no_grad():
        for _ in range(20):  # running statistics
            model.train()(torch.stack(clouds))
    return model.eval()


def build(relaxed: bool = False, temperature: float = 1.0, **options) -> PointCloudClassificationPipeline:
    """Return the pipeline of the small model, trained on clouds of 64 points."""
    model = small_model(relaxed)
    domain = PointCloudDomain(64, CLASSES, "so3", temperature)
    model.card = SimpleNamespace(task="point-cloud-classification", domain=domain)
    return pipeline("point-cloud-classification", model, **options)


def cloud(points: int = 64, seed: int = 0) -> np.ndarray:
    """Return (points, 3) positions of an uneven ball, another for each seed, far from the origin."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(points, 3)) * rng.uniform(0.2, 3, size=3) + [50, 0, -8]
