"""All constants that control the difficulty of the embedded data."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hmlpe.errors import UserError


@dataclass(frozen=True)
class Style:
    """The constants that set the difficulty of the embedded data. Lengths are in torso heights unless stated otherwise.

    Names that end in `_p` are probabilities per person, in `_deg` standard deviations in degrees, and in `_n` expected
    counts per image. Colours range from 0 to 255.
    """

    # The pose: weights of the arm modes of pose.py, in their order, and how much arms and body vary.
    modes: tuple[float, ...] = (0.3, 0.14, 0.14, 0.18, 0.1, 0.06, 0.05, 0.03)
    same_mode_p: float = 0.5  # both arms have the same mode, e.g. folded arms or both hands up
    angle_spread: float = 0.8  # factor of all spreads of the arm modes
    lean_deg: float = 6.0
    tilt_deg: float = 5.0  # of the shoulder line relative to the hips
    yaw_deg: float = 22.0
    foreshortening: float = 0.2  # a limb loses up to this share of its length (twice that if it points at the camera)
    under_p: float = 0.15  # an arm is behind the torso, in modes where that is possible

    # Size, position and the detector's box.
    unit: float = 0.275  # torso height over image side
    unit_spread: float = 0.09  # of the logarithm of `unit`
    place_spread: float = 0.03  # of the neck, over image side
    box: float = 2.4  # box side over torso height
    box_spread: float = 0.06  # of the logarithm of the box side, per axis
    box_shift: float = 0.08  # of the box centre, in torso heights
    proportion_spread: float = 0.08  # of the logarithm of lengths and widths of the body

    # What the person looks like.
    textured_p: float = 0.7
    texture_contrast: float = 0.5
    limb_tint: float = 0.1  # brightness of a limb relative to the torso: small, so that outline and shading matter
    shading: float = 0.3
    outline: float = 0.5
    cast_shadow: float = 0.35
    glove_p: float = 0.1  # hands have the colour of cloth or a glove
    camouflage_p: float = 0.1  # the background contains the cloth's colour

    # Around and over the person.
    shapes_n: float = 8.0
    texture_noise: float = 10.0  # of the background, in grey levels
    stray_limbs_n: float = 0.6
    bystander_p: float = 0.15
    reaching_arm_p: float = 0.08
    occluder_p: float = 0.12

    # Light and sensor.
    gain_spread: float = 0.2
    gradient: float = 0.25
    shadow_p: float = 0.4
    blur_px: float = 0.6
    noise: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            many = field.name == "modes"
            try:
                numbers = tuple(float(number) for number in (value if many else (value,)))
            except (TypeError, ValueError):
                raise UserError(f"embedded data: style.{field.name} must be a number, got {value!r}") from None
            if any(not 0 <= number < float("inf") for number in numbers):
                raise UserError(f"embedded data: style.{field.name} must be finite and not negative, got {value}")
            if field.name.endswith("_p") and numbers[0] > 1:
                raise UserError(f"embedded data: style.{field.name} is a probability, got {value}")
            # 0 and 0.0, a list and a tuple are the same style, so they must have the same fingerprint.
            object.__setattr__(self, field.name, numbers if many else numbers[0])
        if len(self.modes) != 8 or sum(self.modes) <= 0:
            raise UserError(f"embedded data: style.modes needs 8 weights, not all zero, got {self.modes}")
