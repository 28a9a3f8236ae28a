"""Numbers: exact fp32, or bf16 where the hardware has it."""

from __future__ import annotations

import torch


def resolve_precision(wanted: str, accelerator: str) -> str:
    """Lightning's word for the precision; "auto" is bf16 mixed where the hardware multiplies bf16, else exact fp32.

    On a CPU without bf16 instructions autocast falls back to code many times slower than fp32, so it is not used there.
    """
    if wanted != "auto":
        return wanted
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available()):
        return "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "32-true"
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if has_bf16 else "32-true"
