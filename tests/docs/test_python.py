"""The blocks of docs/python.md, run in order in one folder, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from ..programs import finish

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_blocks_run_as_they_stand(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 6
    finish("prepare", "data.source.train=120", "data.source.test=12", "prepare.sheet=0", folder=tmp_path)
    crops = np.load(tmp_path / "data" / "embedded" / "crops.npy", mmap_mode="r")
    Image.fromarray(np.asarray(crops[0])).save(tmp_path / "photo.jpg")
    said = finish("-c", "\n".join(blocks), folder=tmp_path)
    assert "det_0.1_s1" in said and "regression_only" in said and "'left_wrist': [" in said and "verdict" in said
