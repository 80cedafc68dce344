"""Symptoms, words, regions and links: the same answers on both engines."""

from __future__ import annotations

import pytest

from medsynth_app.clinical.knowledge.symptom_model import SymptomDefinition
from medsynth_app.clinical.repository import Repository
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.atlas.brain_regions import BRAIN_REGIONS


def test_all_symptoms_are_there_as_drafts(knowledge: Repository) -> None:
    symptoms = knowledge.symptoms()
    assert len(symptoms) == 130
    assert {each.status for each in symptoms} == {"draft"}
    assert len([each for each in symptoms if each.hpo_id]) == 119


@pytest.mark.parametrize(
    ("kind", "count"), [("deficit", 93), ("irritative", 21), ("icp", 12), ("endocrine", 4)]
)
def test_symptoms_of_a_kind(knowledge: Repository, kind: str, count: int) -> None:
    assert len(knowledge.symptoms(kind)) == count


def test_unknown_kind_lists_the_known(knowledge: Repository) -> None:
    with pytest.raises(InvalidValueError, match="kind: 'pain'.*allowed: deficit, irritative, endocrine, icp"):
        knowledge.symptoms("pain")


def test_unknown_symptom_names_the_nearest(knowledge: Repository) -> None:
    with pytest.raises(NotFoundError, match="nearest are arm_weakness") as caught:
        knowledge.symptom("arm_weaknes")
    assert caught.value.status == 404


def test_definitions_equal_the_seed_file(
    knowledge: Repository, definitions: dict[str, SymptomDefinition]
) -> None:
    assert knowledge.symptom_definitions() == definitions


def test_weights_of_a_symptom_sum_to_one(knowledge: Repository) -> None:
    totals: dict[str, float] = {}
    for link in knowledge.links():
        totals[link.symptom] = totals.get(link.symptom, 0.0) + link.weight
    assert len(totals) == 119
    assert all(total == pytest.approx(1.0, abs=0.011) for total in totals.values())


def test_links_of_a_symptom_come_strongest_first(knowledge: Repository) -> None:
    links = knowledge.links(symptom="hand_clumsiness")
    assert [link.weight for link in links] == sorted((link.weight for link in links), reverse=True)
    override = {link.region: link.side_override for link in links}
    assert override["CBL_HEM"] == "ipsilateral"
    assert override["M1_HAND"] == ""


def test_links_of_a_region(knowledge: Repository) -> None:
    assert {"aphasia_expressive", "speech_apraxia"} <= {
        link.symptom for link in knowledge.links(region="BROCA")
    }


def test_regions_mirror_the_atlas(knowledge: Repository) -> None:
    assert knowledge.regions() == tuple(sorted(BRAIN_REGIONS, key=lambda region: region.code))


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_symptom_has_several_lay_synonyms(knowledge: Repository, language: str) -> None:
    counts = {each.id: 0 for each in knowledge.symptoms()}
    for synonym in knowledge.synonyms():
        counts[synonym.symptom] += synonym.language == language
    assert min(counts.values()) >= 5


@pytest.mark.parametrize(
    ("text", "symptom"),
    [
        ("두통", "headache"),
        ("마비", "hemiplegia"),
        ("복시", "diplopia"),
        ("이명", "tinnitus"),
        ("anosmia", "anosmia"),
        ("구토", "nausea_vomiting"),
        ("DIZZY", "vertigo"),
    ],
)
def test_search_while_typing_finds_two_syllable_words(knowledge: Repository, text: str, symptom: str) -> None:
    assert symptom in [each.id for each in knowledge.symptoms_named(text)]


def test_search_for_nothing_finds_nothing(knowledge: Repository) -> None:
    assert knowledge.symptoms_named("  ") == ()


def test_red_flags_name_known_symptoms(knowledge: Repository) -> None:
    known = {each.id for each in knowledge.symptoms()}
    flags = knowledge.red_flags()
    assert len(flags) == 17
    assert {symptom for flag in flags for symptom in flag.all_of} <= known
