"""What travels over ``/medsynth/api/``: requests are checked here for shape, their values in the library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from medsynth_app.clinical.assessment import Place
from medsynth_app.errors import MalformedRequestError
from medsynth_app.vocabulary import RESEARCH_NOTICE

SymptomStateWord = Literal["present", "denied", "not_asked", "yes", "no", "unknown"]
Model = TypeVar("Model", bound=BaseModel)
_ANSWERS = {"present": "yes", "denied": "no", "not_asked": "unknown"}


class SymptomReport(BaseModel):
    """One answer of a patient."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: str = Field(validation_alias=AliasChoices("id", "symptom"), max_length=200, examples=["arm_weakness"])
    state: SymptomStateWord | bool = Field(
        "present", validation_alias=AliasChoices("state", "answer"), description="A blank is `unknown`, not `denied`."
    )
    side: str | None = Field(None, max_length=20, description="left, right, both or unknown", examples=["right"])
    onset: str | None = Field(None, max_length=20, description="sudden, days, weeks, months, years or unknown")

    def as_answer(self) -> dict[str, Any]:
        """As `parse_intake` takes it."""
        state = self.state if isinstance(self.state, bool) else _ANSWERS.get(self.state, self.state)
        side = None if self.side == "none" else self.side
        return {"symptom": self.id, "answer": state, "side": side, "onset": self.onset}


class IntakeForm(BaseModel):
    """What a patient filled in. No name and no birth date belong here."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    symptoms: list[SymptomReport | str] = Field(default_factory=list, max_length=300)
    handedness: str | None = Field(None, max_length=20, description="right, left, ambidextrous or unknown")
    age: int | None = Field(None, validation_alias=AliasChoices("age", "age_years"), description="Years.")
    post_operative: bool = False
    rapidly_worse: bool = False
    free_text: str | None = Field(None, description="The patient's own words: stored apart, never logged.")

    def as_values(self) -> dict[str, Any]:
        """As `parse_intake` takes it."""
        return {
            "symptoms": [each if isinstance(each, str) else each.as_answer() for each in self.symptoms],
            "handedness": self.handedness,
            "age_years": self.age,
            "post_operative": self.post_operative,
            "rapidly_worse": self.rapidly_worse,
            "free_text": self.free_text,
        }


class CrossCheckRequest(IntakeForm):
    """A case of the datastore and the patient's answers, or a FHIR QuestionnaireResponse in their place."""

    case: str | None = Field(None, validation_alias=AliasChoices("case", "image", "label"), examples=["MedSynth_001"])
    tag: str | None = Field(None, max_length=64, description="Tag of the label: final if there is one, else original.")
    response: dict[str, Any] | None = Field(None, description="FHIR R4 QuestionnaireResponse instead of the answers.")
    lang: Literal["ko", "en"] = "en"
    latitude: float | None = Field(None, validation_alias=AliasChoices("latitude", "lat"))
    longitude: float | None = Field(None, validation_alias=AliasChoices("longitude", "lon"))
    country: str = Field("", max_length=2, description="ISO code to stay within.")

    @property
    def place(self) -> Place:
        """Where hospitals are looked for."""
        return Place(self.latitude, self.longitude, self.country)


class DecisionRequest(BaseModel):
    """What a clinician decides."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    action: str = Field(max_length=20, description="accept, amend or reject", examples=["accept"])
    user: str = Field(validation_alias=AliasChoices("user", "actor"), max_length=200, description="Who decides.")
    reason: str = Field(max_length=4000, description="Why.")
    label_version: str | None = Field(None, max_length=200, description="The version the user saw; another one is 409.")
    tag: str | None = Field(None, max_length=64, description="For amend: tag of the label that holds the new mask.")


class PhraseRequest(BaseModel):
    """A patient's phrase or story. Sent in the body, because addresses are written to logs."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(examples=["오른팔에 힘이 없어요"])
    limit: int = Field(3, ge=1, le=10)


class SymptomView(BaseModel):
    """A symptom of the knowledge base."""

    id: str
    name: str = Field(description="In the language asked for.")
    name_en: str
    name_ko: str
    kind: str
    side_asked: str
    strength: float
    hpo_id: str
    icd10_cm: str
    evidence_status: str
    status: str = Field(description="draft until a clinician has reviewed it")


class CandidateView(BaseModel):
    """A symptom that a phrase may mean."""

    symptom: str
    name: str
    score: float
    matched: str
    negated: bool
    side: str
    needs_confirmation: bool


class FindingView(BaseModel):
    """One complaint of a story."""

    id: str
    name: str = Field(description="In the language asked for.")
    state: Literal["present", "denied"]
    side: str = Field(description="left, right, both or unknown")
    onset: str = Field(description="sudden, days, weeks, months, years or unknown")
    course: list[str] = Field(description="Of worse, better, in_spells, in_the_morning, constant.")
    intensity: str = Field(description="severe, mild or empty")
    confidence: float
    words: str


class ChoiceView(BaseModel):
    """One answer to a question: the symptom and side that it means."""

    label: str
    id: str
    name: str
    side: str


class QuestionView(BaseModel):
    """What to ask back; the answer takes the place of the finding that it is about."""

    kind: str
    about: str = Field(description="Identifier of the finding.")
    text: str
    choices: list[ChoiceView]


class UnderstandingView(BaseModel):
    """What was understood of a phrase or a story, for the user to confirm."""

    language: str
    side: str
    negated: bool
    body_parts: list[str]
    candidates: list[CandidateView]
    findings: list[FindingView] = Field(default_factory=list, description="A row per complaint, in the order told.")
    questions: list[QuestionView] = Field(default_factory=list)
    not_understood: list[str] = Field(default_factory=list, description="Words that gave nothing; nothing is guessed.")
    notice: str = RESEARCH_NOTICE


class SymptomList(BaseModel):
    """Symptoms, and what a search understood."""

    symptoms: list[SymptomView]
    understanding: UnderstandingView | None = None
    notice: str = RESEARCH_NOTICE


class LinkView(BaseModel):
    """How much a symptom points to a region."""

    symptom: str
    weight: float
    laterality_rule: str


class RegionView(BaseModel):
    """A brain region."""

    code: str
    name: str = Field(description="In the language asked for.")
    name_en: str
    name_ko: str
    lobe: str
    eloquence: str
    icd10_site: str
    two_sided: bool
    symptoms: list[LinkView]


class RegionList(BaseModel):
    """Brain regions with the symptoms that point to them."""

    regions: list[RegionView]
    notice: str = RESEARCH_NOTICE


class SuspectReasonView(BaseModel):
    """A symptom that points to a region."""

    symptom: str
    name: str
    side: str
    share: float = Field(description="Of its possible effect, 0 to 1.")


class SuspectedRegionView(BaseModel):
    """A region on one side, and how likely it is the site of what was told."""

    region: str
    side: str
    name: str = Field(description="In the language asked for.")
    name_en: str
    name_ko: str
    lobe: str
    probability: float = Field(description="Posterior; all regions and sides sum to 1.")
    touched_probability: float = Field(description="That a random glioma with these symptoms touches it.")
    lift: float
    reasons: list[SuspectReasonView]
    center_mm: tuple[float, float, float] = Field(description="MNI space, RAS mm.")


class SuspectedList(BaseModel):
    """Suspected regions without any image."""

    suspected: list[SuspectedRegionView]
    reasons: list[str]
    warnings: list[str]
    red_flags: list[dict[str, Any]]
    versions: dict[str, str]
    notice: str = RESEARCH_NOTICE


class SuspectRequest(IntakeForm):
    """A patient's answers, no image."""

    limit: int = Field(10, ge=1, le=100, description="Regions answered, likeliest first.")


class Health(BaseModel):
    """Whether the clinic answers, and what it knows."""

    status: str
    database: str
    knowledge_base: dict[str, Any]
    score_ready: bool = Field(description="False while atlas and lesion library are made at first use.")
    atlas_version: str | None
    left_out: dict[str, str] = Field(
        default_factory=dict,
        description="Entries of the studies folder that are not used, and why; the first hundred.",
    )
    left_out_count: int = Field(default=0, description="How many there are in all.")
    audit: dict[str, str | None] | None = Field(
        None, description="For admins: the newest hash of each audit chain, to be noted outside of the server."
    )
    notice: str = RESEARCH_NOTICE


def checked(model: type[Model], values: Any) -> Model:  # noqa: ANN401 - untrusted
    """A request from untrusted values.

    Raises:
        MalformedRequestError: not an object.
        RequestValidationError: a field is wrong; the error handler names it.
    """
    if not isinstance(values, Mapping):
        raise MalformedRequestError(f"body: {type(values).__name__} received; allowed: a JSON object")
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        rows = [{**row, "loc": ("body", *row["loc"])} for row in error.errors(include_url=False, include_context=False)]
        raise RequestValidationError(rows) from None


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of a model with its parts in place: OpenAPI cannot follow references into a part of itself."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:  # noqa: ANN401 - the recursive JSON type
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            return resolved(parts[name]) if name in parts else {key: resolved(part) for key, part in value.items()}
        return [resolved(part) for part in value] if isinstance(value, list) else value

    inlined: dict[str, Any] = resolved(schema)
    return inlined
