"""How good each generator is beside the simplest one of its task: ``ready`` only where it was measured to be better.

A generator without weights (growth model, phantom) is the simplest that works, and the measure of the others. Weights
that were trained elsewhere than here were not measured, and are experimental until ``medsynth benchmark`` says more.
"""

from __future__ import annotations

from dataclasses import dataclass

READY, EXPERIMENTAL = "ready", "experimental"


@dataclass(frozen=True)
class Standing:
    """What was found out about a generator.

    Attributes:
        is_ready: whether it beats the simplest generator of its task, or is that one.
        figure: the measurement that says so, or what is missing; one sentence.
    """

    is_ready: bool
    figure: str

    @property
    def status(self) -> str:
        """``ready`` or ``experimental``."""
        return READY if self.is_ready else EXPERIMENTAL


UNMEASURED = Standing(False, "weights trained elsewhere; medsynth benchmark measures them")
SIMPLEST = Standing(True, "drawn by rules: the simplest of its task, which the others are measured by")

PICTURES_BY_STYLEGAN2 = {
    "chest_xray": Standing(True, "KID 22, phantom 576, real beside real -0.5; diversity 31, real 38"),
    "mri": Standing(True, "KID 26, phantom 457, real beside real 0.8; diversity 40, real 46; tumours are faint"),
    "ultrasound": Standing(True, "KID 4.6, phantom 78, real beside real 0.9; diversity 30, real 34"),
    "ct": Standing(False, "KID 84, phantom 345, real 5.6, but diversity 29 where real is 41: bleedings in few places"),
    "retina": Standing(False, "KID 50, phantom 377, real 3.3, but diversity 15 where real is 25: one tree of vessels"),
}
"""Ready are those nearer to real pictures than the phantom whose diversity is at least four fifths of the real one."""
PICTURES_BY_DIFFUSION = {
    "chest_xray": Standing(False, "KID 65, StyleGAN2 22: soft"),
    "mri": Standing(False, "KID 156, StyleGAN2 26: soft"),
    "ultrasound": Standing(False, "KID 18, StyleGAN2 4.6: soft"),
    "ct": Standing(False, "KID 283, StyleGAN2 84: soft"),
    "retina": Standing(False, "KID 866, phantom 377: soft"),
}
BRAINS_BY_VAE_GAN = Standing(False, "KID 96, real beside real -9: soft, without folds")
BRAINS_BY_DIFFUSION = Standing(False, "KID 94, real beside real -9: soft, without folds")
HEADS_BY_ONE_PERSON = Standing(False, "learned from the head of one person: every draw is that head, warped")
LEARNED_TUMORS = Standing(False, "KID 166, growth model 67: its texture is noise")
SKIN_LESIONS = Standing(True, "KID 5.9, real beside real 0.4; no simpler generator makes them")
SKIN_PHOTOGRAPHS = Standing(True, "squared error .0095 by the encoder, .0015 after 100 steps of refinement")
SKIN_COURSES = Standing(False, "melanoma's probability rises, but border and extent hardly move along the direction")
