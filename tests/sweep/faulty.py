"""A task with which the process of a run does what its setting says, in the first step of training."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from torch import Tensor

from hmlpe.tasks import JointRegression


class Faulty(JointRegression):
    """Regression, but for `how`: raise_, exit, kill_once, memory, linger, or nothing."""

    def __init__(self, how: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.how = how

    def element_loss(self, output: Tensor, values: Tensor) -> Tensor:
        getattr(self, self.how)()
        return super().element_loss(output, values)

    def nothing(self) -> None:
        pass

    def raise_(self) -> None:
        raise ValueError("this joint\nis out")

    def exit(self) -> None:
        os._exit(3)

    def kill_once(self) -> None:
        mark = Path(HydraConfig.get().runtime.output_dir) / "killed"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def memory(self) -> None:
        torch.empty(10**15)

    def linger(self) -> None:
        """A thread that would keep the finished process for an hour."""
        if not any(thread.name == "lingering" for thread in threading.enumerate()):
            threading.Thread(target=time.sleep, args=(3600,), name="lingering").start()
