"""A plain Lightning template, as a user would write it without hmlpe: DataLoader workers, albumentations, fp32.

The speed of hmlpe-train is compared with it. It trains the same layers with the same two losses on the same pack, in
the way of the common templates. hmlpe-bench runs it in a process of its own, with the default memory allocator, and
reads the line that it prints:

    python -m hmlpe.bench.template PACK NETWORK AUGMENT BATCH STEPS WORKERS THREADS

NETWORK is the configuration under `network`, as JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import albumentations as A
import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from albumentations.pytorch import ToTensorV2
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from hmlpe.geometry import image_to_crop
from hmlpe.windows import WindowGrid

SIZE_PX, WARM_UP = 112, 4
PARTS = ((0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (6, 0), (6, 3))  # as many as the upper body has


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """A data set of the training people; an item is a randomly augmented crop and the joints in it."""

    def __init__(self, pack: Path, augment: str) -> None:
        people = np.load(pack / "people.npz")
        self.rows = np.flatnonzero(people["split"] == "train")
        self.crops = np.load(pack / "crops.npy", mmap_mode="r")
        side = self.crops.shape[1]
        self.joints = np.nan_to_num(image_to_crop(people["joints_px"], people["box_px"][:, None], side))
        strong = [
            A.Affine(scale=(0.75, 1.1), rotate=(-20, 20), translate_percent=(-0.05, 0.05), border_mode=1, p=1),
            A.RandomCrop(SIZE_PX, SIZE_PX),
            A.ColorJitter((0.7, 1.3), (0.7, 1.3), (0.7, 1.3), (-0.04, 0.04), p=0.8),
            A.OneOf(
                [A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.2)), A.GaussNoise(std_range=(0.01, 0.05))], p=0.3
            ),
        ]
        views = strong if augment == "strong" else [A.RandomCrop(SIZE_PX, SIZE_PX)]
        points = A.KeypointParams(format="xy", remove_invisible=False)
        self.transform = A.Compose([*views, A.HorizontalFlip(), A.Normalize(), ToTensorV2()], keypoint_params=points)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self.rows[index]
        found = self.transform(image=np.asarray(self.crops[row]), keypoints=self.joints[row])
        return found["image"], torch.tensor(found["keypoints"], dtype=torch.float32)


class Template(L.LightningModule):
    """A Lightning module that trains the joint regression and the part detection on one trunk."""

    def __init__(self, joints: int, network: dict[str, Any]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        maps, (kernel, stride) = 3, network["trunk"]["pool"]
        for stage in network["trunk"]["stages"]:
            layers += [nn.Conv2d(maps, stage["maps"], stage["kernel"])]
            layers += [nn.BatchNorm2d(stage["maps"])] if network["trunk"]["norm"] == "batch" else []
            layers += [nn.ReLU()] if stage["relu"] else []
            layers += [nn.MaxPool2d(kernel, stride, ceil_mode=True)]
            maps = stage["maps"]
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        features = self.trunk(torch.zeros(2, 3, SIZE_PX, SIZE_PX)).shape[1]
        self.windows, (wide, wider) = WindowGrid(), network["head"]["hidden"]
        self.heads = nn.ModuleList(
            nn.Sequential(
                *(nn.Linear(features, wide), nn.ReLU(), nn.Dropout(1 - network["head"]["keep"])),
                *(nn.Linear(wide, wider), nn.ReLU(), nn.Linear(wider, outputs)),
            )
            for outputs in (2 * joints, len(PARTS) * len(self.windows))
        )
        self.times: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the weighted sum of both tasks' losses on a batch, per image."""
        image, joints = batch
        features = self.trunk(image)
        places, parts = (head(features) for head in self.heads)
        regression = F.mse_loss(torch.tanh(places), joints.flatten(1) / SIZE_PX, reduction="sum")
        there = self.windows.contains(joints[:, torch.tensor(PARTS)]).float().flatten(1)
        detection = F.binary_cross_entropy_with_logits(parts, there, reduction="sum")
        loss = (regression + 0.1 * detection) / len(image)
        self.log_dict({"train/regression": regression, "train/detection": detection, "train/loss": loss})
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Record the time, from which the speed is computed."""
        self.times.append(time.perf_counter())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer, which is AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def images_per_second(pack: Path, network: dict[str, Any], augment: str, batch: int, steps: int, workers: int) -> float:
    """Return the training speed of `steps` steps after the warm-up; the time between epochs counts."""
    people = Crops(pack, augment)
    loader = DataLoader(
        people, batch, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    model = Template(people.joints.shape[1], network)
    trainer = L.Trainer(max_steps=steps + WARM_UP, logger=False, enable_checkpointing=False, enable_progress_bar=False,
                        enable_model_summary=False, accelerator="auto", devices=1)  # fmt: skip
    trainer.fit(model, loader)
    return batch * steps / (model.times[-1] - model.times[WARM_UP - 1])


def main() -> None:
    """Train with the arguments of the command line, and print the speed as a line of JSON."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    pack, network, augment, *numbers = sys.argv[1:]
    batch, steps, workers, threads = map(int, numbers)
    torch.set_num_threads(threads)
    rate = images_per_second(Path(pack), json.loads(network), augment, batch, steps, workers)
    print(json.dumps({"images_per_second": rate}))


if __name__ == "__main__":
    main()
