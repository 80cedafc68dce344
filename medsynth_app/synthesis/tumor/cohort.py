"""Many patients instead of one: requests whose tumours and scanners differ as they do in BraTS.

Site and volume follow what is reported for adult diffuse glioma (mostly supratentorial, median whole tumour near
90 ml); make-up is bimodal, as in BraTS: most cores enhance, some hardly or not at all. Timings, field strength,
slice thickness, shading and noise are drawn more widely than one hospital's (domain randomisation, Billot 2023,
"SynthSeg"), so that a network does not learn one scanner.
"""

from __future__ import annotations

import numpy as np

from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.tumor.request import LARGEST_VOLUME_ML, Side, TumorCaseRequest, TumorSite
from medsynth_app.synthesis.tumor.signal import SequenceParameters
from medsynth_app.vocabulary import Modality

SITE_SHARES: dict[TumorSite, float] = {
    TumorSite.FRONTAL: 0.32,
    TumorSite.TEMPORAL: 0.29,
    TumorSite.PARIETAL: 0.19,
    TumorSite.INSULAR: 0.06,
    TumorSite.OCCIPITAL: 0.05,
    TumorSite.DEEP_GREY: 0.04,
    TumorSite.CORPUS_CALLOSUM: 0.04,
    TumorSite.CEREBELLAR: 0.01,
}
VOLUME_MEDIAN_ML, VOLUME_LOG_DEVIATION, VOLUME_RANGE_ML = 85.0, 0.6, (8.0, 260.0)
ENHANCING_SHARE_OF_PATIENTS = 0.75
TIMING_RANGES_MS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float] | None]] = {
    Modality.FLAIR.value: ((8000, 11000), (75, 135), (2200, 2650)),
    Modality.T1.value: ((400, 800), (6, 18), None),
    Modality.T1CE.value: ((400, 800), (6, 18), None),
    Modality.T2.value: ((2800, 6500), (65, 110), None),
}
"""Range of TR, TE and TI by sequence."""


def drawn_request(seed: int, spacing_mm: float = 1.0) -> TumorCaseRequest:
    """One patient of the cohort.

    Args:
        seed: which; the same seed gives the same patient.
        spacing_mm: voxel size of the case.
    """
    generator = stream(seed, "cohort")
    site = list(SITE_SHARES)[int(generator.choice(len(SITE_SHARES), p=list(SITE_SHARES.values())))]
    volume = VOLUME_MEDIAN_ML * float(np.exp(VOLUME_LOG_DEVIATION * generator.standard_normal()))
    enhancing, necrotic = _make_up(generator)
    return TumorCaseRequest(
        seed=seed,
        site=site,
        side=(Side.LEFT, Side.RIGHT)[int(generator.integers(2))],
        volume_ml=round(float(np.clip(volume, *VOLUME_RANGE_ML)) * _share_of_room(site), 1),
        enhancing_fraction=enhancing,
        necrotic_fraction=necrotic,
        edema_extent=round(float(generator.uniform(0.3, 0.88)), 3),
        mass_effect=round(float(generator.uniform(0.4, 1.3)), 3),
        contrast_uptake=round(float(np.clip(0.62 * np.exp(0.45 * generator.standard_normal()), 0.15, 1.3)), 3),
        edema_density=round(float(generator.uniform(0.4, 1.0)), 3),
        tissue_variation=1.6,
        field_strength_t=float(generator.choice([1.5, 3.0])),
        sequences={name: _timing(generator, *ranges) for name, ranges in TIMING_RANGES_MS.items()},
        bias_field=round(float(generator.uniform(0.02, 0.2)), 3),
        noise=round(float(generator.uniform(0.01, 0.09)), 3),
        slice_thickness_mm=round(float(generator.choice([1.0, 1.0, generator.uniform(2.0, 6.0)])), 2),
        in_plane_resolution_mm=round(float(generator.uniform(0.9, 1.6)), 2),
        spacing_mm=spacing_mm,
    )


def _make_up(generator: np.random.Generator) -> tuple[float, float]:
    """Enhancing and necrotic share of the core."""
    if generator.uniform() < ENHANCING_SHARE_OF_PATIENTS:
        enhancing = float(generator.uniform(0.3, 0.88))
        return round(enhancing, 3), round(float(generator.uniform(0.5, 0.95)) * (1.0 - enhancing), 3)
    enhancing = float(generator.choice([0.0, generator.uniform(0.01, 0.08)]))
    return round(enhancing, 3), round(float(generator.uniform(0.0, 0.5)) * (1.0 - enhancing), 3)


def _share_of_room(site: TumorSite) -> float:
    """1, or less where the site is small: the whole range is scaled into it."""
    return min(1.0, LARGEST_VOLUME_ML.get(site, np.inf) / VOLUME_RANGE_ML[1])


def _timing(
    generator: np.random.Generator,
    repetition: tuple[float, float],
    echo: tuple[float, float],
    inversion: tuple[float, float] | None,
) -> SequenceParameters:
    return SequenceParameters(
        round(float(generator.uniform(*repetition))),
        round(float(generator.uniform(*echo)), 1),
        None if inversion is None else round(float(generator.uniform(*inversion))),
    )
