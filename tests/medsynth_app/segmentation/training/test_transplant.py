"""Another case's tumour in a brain: labelled where it is, blended, nowhere else, and only what both cases show."""

from __future__ import annotations

import torch

from medsynth_app.segmentation.training.augmentation import AugmentationConfiguration
from medsynth_app.segmentation.training.dataset import training_batch
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.transplant import RIM, with_foreign_tumor

SIDE = 40


def _case(name: str, level: float, tumor: slice | None, blank: tuple[int, ...] = ()) -> LabelledCase:
    image = torch.full((4, SIDE, SIDE, SIDE), level)
    image += 0.01 * torch.randn(image.shape, generator=torch.Generator().manual_seed(len(name)))
    label = torch.zeros((SIDE, SIDE, SIDE), dtype=torch.uint8)
    if tumor is not None:
        image[:, tumor, tumor, tumor] += 5
        label[tumor, tumor, tumor] = 2
    image[list(blank)] = 0
    return LabelledCase(name, image.half(), label)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_tumor_comes_with_its_label_and_its_contrast_at_the_brightness_that_is_there() -> None:
    healthy, donor = _case("healthy", 1.0, None), _case("donor", 3.0, slice(10, 20))
    made = with_foreign_tumor(healthy, [healthy, donor], _generator())
    inside = made.label == 2
    assert 300 < int(inside.sum()) <= 1000
    core = torch.nn.functional.avg_pool3d(inside[None, None].float(), 3, 1, 1)[0, 0] == 1
    assert abs(float(made.image[0].float()[core].mean()) - 6.0) < 0.2, "5 above a brain of 1, not of 3"
    changed = (made.image != healthy.image).any(dim=0)
    near = torch.nn.functional.max_pool3d(inside[None, None].float(), 2 * RIM[1] + 3, 1, RIM[1] + 1)[0, 0] > 0
    assert not bool((changed & ~near).any())
    assert not bool((healthy.label > 0).any()), "the case itself stays as it is"


def test_a_blank_sequence_stays_blank_and_a_donor_has_what_the_case_has() -> None:
    case = _case("case", 1.0, None, blank=(1, 3))
    made = with_foreign_tumor(case, [case, _case("donor", 1.0, slice(10, 20))], _generator())
    assert not bool(made.image[[1, 3]].any())
    assert bool((made.label > 0).any())
    whole = _case("whole", 1.0, None)
    assert with_foreign_tumor(whole, [whole, _case("flair", 1.0, slice(10, 20), blank=(1,))], _generator()) is whole


def test_nobody_to_take_a_tumor_from() -> None:
    case, healthy = _case("case", 1.0, slice(5, 12)), _case("healthy", 1.0, None)
    assert with_foreign_tumor(case, [case, healthy], _generator()) is case


def test_batches_with_foreign_tumors_are_functions_of_the_seed() -> None:
    cases = [_case("a", 1.0, None), _case("b", 1.0, slice(10, 20))]
    often = AugmentationConfiguration(foreign_tumor_probability=1.0)
    never = AugmentationConfiguration(foreign_tumor_probability=0.0)
    first, again, plain = (
        training_batch(cases, 0, 4, (32, 32, 32), each, seed=3) for each in (often, often, never)
    )
    torch.testing.assert_close(first[0], again[0], rtol=0, atol=0)
    assert int((first[1] > 0).sum()) > int((plain[1] > 0).sum())
