"""The words of the report, English and Korean side by side: (en, ko)."""

from __future__ import annotations

from medsynth_app.vocabulary import RESEARCH_NOTICE

RESEARCH_NOTICE_KO = (
    "연구·교육용입니다. 의료기기가 아니며 진단·치료 결정에 사용할 수 없습니다. "
    "반드시 전문의가 영상을 직접 확인해야 합니다."
)

Words = tuple[str, str]

WORDS: dict[str, Words] = {
    "notice": (
        f"{RESEARCH_NOTICE} A qualified clinician must review the images.",
        RESEARCH_NOTICE_KO,
    ),
    "title": ("Symptoms and tumour site: cross-check", "증상과 종양 위치의 교차 확인"),
    "case": ("Case", "사례"),
    "created": ("Made", "작성"),
    "status": ("Status", "상태"),
    "label": ("Mask version", "마스크 버전"),
    "page": ("Page", "쪽"),
    "summary": ("Summary", "요약"),
    "urgent": ("Urgent signs", "응급 징후"),
    "concordance": ("Symptoms and mask", "증상과 마스크"),
    "probability": ("Calibrated probability", "보정된 확률"),
    "interval": ("80 % interval", "80 % 구간"),
    "bayes": ("log Bayes factor (mirrored mask)", "로그 베이즈 인자(좌우 바꾼 마스크)"),
    "site": ("Site", "위치"),
    "side": ("Side", "쪽"),
    "icd10": ("ICD-10 site", "ICD-10 부위"),
    "volume": ("Volume", "부피"),
    "volumes": ("Volumes", "부피"),
    "midline": ("Crosses the midline", "정중선을 넘음"),
    "pieces": ("Connected pieces", "연결된 조각"),
    "handedness": ("Handedness", "주로 쓰는 손"),
    "age": ("Age", "나이"),
    "years": ("years", "세"),
    "symptoms": ("What each answer says", "답변별 의미"),
    "symptom": ("Symptom", "증상"),
    "answer": ("Answer", "답변"),
    "effect": ("Effect", "영향"),
    "explained": ("Accounted for by the mask", "마스크로 설명됨"),
    "where": ("Where (share)", "부위(비율)"),
    "unexplained": ("Not accounted for by the mask", "마스크로 설명되지 않는 증상"),
    "silent": ("Occupied eloquent regions without the expected symptom", "침범되었으나 증상이 없는 기능 영역"),
    "look_here": ("Look here again: sites outside the mask", "다시 확인할 부위(마스크 밖)"),
    "regions": ("Regions", "영역"),
    "region": ("Region", "영역"),
    "lobe": ("Lobe", "엽"),
    "of_tumor": ("% of tumour", "종양 중 %"),
    "of_region": ("% of region", "영역 중 %"),
    "eloquent": ("Nearest eloquent regions", "가까운 기능 영역"),
    "distance": ("Distance of the mask", "마스크까지 거리"),
    "inside": ("overlaps the mask", "마스크와 겹침"),
    "components": ("Pieces of the mask", "마스크 조각"),
    "piece": ("Piece", "조각"),
    "support": ("Symptoms say", "증상이 말하는 것"),
    "pictures_mask": ("The mask", "마스크"),
    "pictures_regions": ("The mask on the atlas", "아틀라스 위의 마스크"),
    "picture_mask": (
        "Mask: necrotic core blue, oedema green, enhancing tumour red. R is the patient's right.",
        "마스크: 괴사 파랑, 부종 초록, 조영증강 빨강. R은 환자의 오른쪽.",
    ),
    "picture_regions": (
        "Atlas regions inside the mask, one colour each; the codes are those of the region table.",
        "마스크 안의 뇌 영역(영역마다 다른 색). 기호는 영역 표의 기호와 같습니다.",
    ),
    "picture_registration": (
        "Registration check: yellow is the atlas' brain, blue its ventricles; both must lie on the patient's own.",
        "정합 확인: 노랑은 아틀라스의 뇌 경계, 파랑은 뇌실. 환자의 경계와 맞아야 합니다.",
    ),
    "quality": ("Registration quality", "정합 품질"),
    "check": ("Check", "항목"),
    "value": ("Value", "값"),
    "allowed": ("Allowed", "허용"),
    "passed": ("Passed", "통과"),
    "hospitals": ("Hospitals that offer what such a site wants", "이 부위에 필요한 진료를 제공하는 병원"),
    "hospitals_general": ("Hospitals, general list (the site is doubtful)", "병원 일반 목록(위치가 불확실함)"),
    "hospital": ("Hospital", "병원"),
    "score_terms": ("Score = services / level / distance", "점수 = 진료 / 등급 / 거리"),
    "kilometres": ("km", "km"),
    "data_of": ("Source, date", "출처, 날짜"),
    "invented": ("invented for demonstration", "시연용 가상 병원"),
    "invented_source": ("invented for demonstration, no real institutions", "시연용 가상 자료(실제 기관 아님)"),
    "order_notice": (
        "Listed by the terms shown, from the data and dates shown. Not a recommendation.",
        "표시된 항목과 날짜의 자료로 정렬한 목록이며 추천이 아닙니다.",
    ),
    "wanted": ("Wanted services", "필요한 진료"),
    "decision": ("Decision", "결정"),
    "decided": ("{action} by {actor}, {time}. Reason: {reason}", "{actor}, {time}: {action}. 사유: {reason}"),
    "undecided": (
        "Not decided yet: a clinician must accept, amend or reject.",
        "아직 결정되지 않음: 임상의가 승인·수정·기각해야 합니다.",
    ),
    "warnings": ("Doubts", "주의할 점"),
    "versions": ("Versions", "버전"),
    "none": ("none", "없음"),
    "yes": ("yes", "예"),
    "no": ("no", "아니오"),
    "unknown": ("unknown", "알 수 없음"),
    "left": ("left", "왼쪽"),
    "right": ("right", "오른쪽"),
    "both": ("both", "양쪽"),
    "midline_side": ("midline", "정중선"),
    "bilateral": ("both sides", "양쪽"),
    "ambidextrous": ("both hands", "양손잡이"),
    "side_error": (
        "Possible side error: the mirrored mask fits the symptoms far better. Check the image's orientation and "
        "the sides of the answers first.",
        "좌우 오류 가능: 좌우를 바꾼 마스크가 증상과 훨씬 더 잘 맞습니다. 영상 방향과 답변의 좌우를 먼저 확인하십시오.",
    ),
    "meaning": (
        "Concordance is not evidence that the tissue is tumour, and discordance is not evidence against it: about "
        "one tumour in eight has false-localising signs. No voxel of the mask was changed.",
        "일치는 그 조직이 종양이라는 증거가 아니며, 불일치도 종양이 아니라는 증거가 아닙니다. 종양 여덟 중 하나는 "
        "거짓 국소화 징후를 보입니다. 마스크의 어떤 화소도 바꾸지 않았습니다.",
    ),
    "simulated": (
        "The probability is calibrated on simulated patients only; its clinical validity is unproven.",
        "확률은 모의 환자로만 보정되었으며 임상적 타당성은 입증되지 않았습니다.",
    ),
}

CONCORDANCE: dict[str, Words] = {
    "concordant": ("concordant with the reported symptoms", "일치"),
    "partly_supported": ("partly supported by the reported symptoms", "부분 일치"),
    "discordant": ("discordant with the reported symptoms", "불일치"),
    "indeterminate": ("indeterminate", "판단 불가"),
    "not_assessable": ("not assessable", "평가 불가"),
}

STATUS: dict[str, Words] = {
    "proposed": ("PROPOSED, not decided", "제안됨(미결정)"),
    "accepted": ("accepted", "승인됨"),
    "amended": ("amended", "수정됨"),
    "rejected": ("rejected", "기각됨"),
    "final": ("FINAL", "확정"),
}

ACTIONS: dict[str, Words] = {
    "accept": ("Accepted", "승인"),
    "amend": ("Amended (new mask version)", "수정(새 마스크 버전)"),
    "reject": ("Rejected", "기각"),
}

REASONS: dict[str, Words] = {
    "mask_empty": ("The mask is empty.", "마스크가 비어 있습니다."),
    "registration_failed": (
        "The image could not be brought to the atlas reliably.", "영상을 아틀라스에 신뢰성 있게 맞추지 못했습니다."
    ),
    "no_localising_symptom": ("No reported symptom points to a site.", "위치를 가리키는 증상이 없습니다."),
    "only_weak_symptoms": ("Only weakly localising symptoms were reported.", "위치를 약하게 가리키는 증상뿐입니다."),
    "age_below_18": (
        "The patient is under 18: the knowledge base speaks of adults.", "18세 미만: 지식베이스는 성인 자료입니다."
    ),
    "post_operative": ("The brain was operated on before.", "뇌 수술을 받은 적이 있습니다."),
    "image_side_unknown": (
        "The image's header does not tell left from right.", "영상 헤더로 좌우를 알 수 없습니다."
    ),
    "mirrored_fits_better": (
        "The mirrored mask fits the symptoms better.", "좌우를 바꾼 마스크가 증상과 더 잘 맞습니다."
    ),
    "low_probability": (
        "Random lesions of this size explain the symptoms better.", "같은 크기의 무작위 병변이 증상을 더 잘 설명합니다."
    ),
    "high_probability": (
        "This site explains the symptoms better than random lesions of its size.",
        "같은 크기의 무작위 병변보다 이 위치가 증상을 더 잘 설명합니다.",
    ),
    "middle_probability": ("The symptoms speak neither clearly for nor against.", "증상만으로는 분명하지 않습니다."),
    "strong_symptom_unexplained": (
        "A strongly localising symptom is not accounted for.", "위치를 강하게 가리키는 증상이 설명되지 않습니다."
    ),
    "no_strong_symptom_explained": (
        "No strongly localising symptom is accounted for.", "강한 국소 증상 가운데 설명되는 것이 없습니다."
    ),
    "strong_symptom_on_wrong_side": (
        "A strong sign fits the mirrored mask and not this one: check the side of image and answers first.",
        "강한 증상이 반대쪽 병변에만 맞습니다. 영상과 응답의 좌우를 먼저 확인하십시오.",
    ),
    "interval_spans_classes": (
        "The interval reaches into another class; the weaker one is shown.",
        "구간이 다른 등급에 걸쳐 더 약한 등급을 표시합니다.",
    ),
}

EXPLANATIONS: dict[str, Words] = {
    "explained": ("yes", "예"),
    "partly_explained": ("partly", "부분적으로"),
    "unexplained": ("no", "아니오"),
    "not_localising": ("points to no site", "위치를 가리키지 않음"),
}

WEIGHTS: dict[str, Words] = {
    "none": ("none", "없음"),
    "weak": ("weak", "약함"),
    "moderate": ("moderate", "중간"),
    "strong": ("strong", "강함"),
}

DIRECTIONS: dict[str, Words] = {"for": ("for, {}", "지지({})"), "against": ("against, {}", "반대({})")}
"""Whether an answer speaks for the mask or against it, and how strongly."""

STATES: dict[str, Words] = {"present": ("yes", "있음"), "denied": ("no", "없음"), "not_asked": ("unknown", "모름")}

SUPPORT: dict[str, Words] = {
    "supported": ("supported", "뒷받침됨"),
    "not_contradicted": ("not contradicted", "반대되지 않음"),
    "unsupported": ("unsupported", "뒷받침되지 않음"),
}

LOBES: dict[str, Words] = {
    "frontal": ("frontal", "전두엽"),
    "temporal": ("temporal", "측두엽"),
    "parietal": ("parietal", "두정엽"),
    "occipital": ("occipital", "후두엽"),
    "insular": ("insular", "섬엽"),
    "limbic": ("limbic", "변연엽"),
    "deep": ("deep", "심부"),
    "corpus_callosum": ("corpus callosum", "뇌들보"),
    "ventricle": ("ventricle", "뇌실"),
    "brainstem": ("brainstem", "뇌줄기"),
    "cerebellum": ("cerebellum", "소뇌"),
    "outside": ("outside the atlas", "아틀라스 밖"),
}

VOLUMES: dict[str, Words] = {
    "whole_tumor": ("whole tumour", "전체 종양"),
    "tumor_core": ("tumour core", "종양 핵심"),
    "necrotic_core": ("necrotic core", "괴사"),
    "edema": ("oedema", "부종"),
    "enhancing_tumor": ("enhancing tumour", "조영증강 종양"),
}

WARNINGS: dict[str, Words] = {
    "side_missing": ("no side was told; both were averaged", "좌우 답변 없음; 양쪽을 평균함"),
    "side_not_used": ("a side was told, but the symptom has none", "좌우가 없는 증상에 좌우가 적힘"),
    "side_ignored": ("a side was told, but the symptom has none", "좌우가 없는 증상에 좌우가 적힘"),
    "side_both": ("told for both sides; they were averaged", "양쪽이라고 답함; 평균함"),
    "age_below_18": ("the patient is under 18", "18세 미만"),
    "registered_by": ("registered by another sequence than T1", "T1이 아닌 영상으로 정합함"),
    "registration_time_limit": (
        "the registration took too long; the site rests on a fixed transform and may be 1 cm off",
        "정합 시간이 초과되어 고정 변환을 사용함; 위치가 1 cm까지 어긋날 수 있음",
    ),
    "label": (
        "the mask was made by the segmentation model, nobody has corrected it",
        "마스크는 자동 분할 결과이며 아무도 수정하지 않음",
    ),
    "calibration_of_another_knowledge_base": (
        "the probability was calibrated for another state of the knowledge base",
        "확률은 다른 버전의 지식베이스에 맞춰 보정된 값임",
    ),
    "site_side_unknown": (
        "left and right cannot be told: the image's header is missing or made up",
        "영상 헤더가 없거나 믿을 수 없어 좌우를 알 수 없음",
    ),
    "site_crosses_midline": (
        "the tumour reaches across the midline; mass effect may shift the midline itself",
        "종양이 정중선을 넘으며, 종괴 효과로 정중선 자체가 밀렸을 수 있음",
    ),
    "site_small_pieces": (
        "pieces of the mask below 0.1 ml, not described",
        "0.1 ml보다 작아 기술하지 않은 마스크 조각",
    ),
    "image_note": ("a remark about the images", "영상에 관한 참고(원문)"),
}

GATES: dict[str, Words] = {
    "registration": ("registration", "정합"),
    "upright_margin": ("upright margin", "바른 방향과의 차이"),
    "mutual_information": ("mutual information", "상호정보량"),
    "brain_dice": ("brain Dice", "뇌 경계 Dice"),
    "determinant": ("volume change", "부피 변화율"),
    "brain_volume_ml": ("brain volume (ml)", "뇌 부피(ml)"),
    "mask_outside": ("mask outside the brain", "뇌 밖의 마스크 비율"),
}

GATE_MEANINGS: dict[str, Words] = {
    "registration": ("the image could not be registered", "영상을 정합할 수 없습니다"),
    "upright_margin": (
        "the head fits the template better when turned; the header's axes are flipped or swapped",
        "머리를 돌렸을 때 더 잘 맞습니다. 헤더의 축이 뒤집혔거나 바뀌었습니다",
    ),
    "mutual_information": ("the head does not look like the template", "머리 영상이 표준 뇌와 닮지 않았습니다"),
    "brain_dice": (
        "the brain's outline does not fit the template's", "뇌의 윤곽이 표준 뇌와 맞지 않습니다"
    ),
    "determinant": (
        "the head had to be shrunk or blown up beyond what heads differ",
        "사람마다 다른 정도를 넘어 머리를 줄이거나 늘려야 했습니다",
    ),
    "brain_volume_ml": (
        "this is no skull-stripped whole brain; strip the skull first",
        "두개골을 제거한 전체 뇌가 아닙니다. 먼저 두개골을 제거하십시오",
    ),
    "mask_outside": (
        "part of the tumour mask lies outside the atlas' brain", "종양 마스크의 일부가 아틀라스의 뇌 밖에 있습니다"
    ),
}
"""What a failed gate means."""

VERSION_NAMES: dict[str, Words] = {
    "medsynth": ("MedSynth", "MedSynth"),
    "atlas": ("atlas", "아틀라스"),
    "knowledge_base": ("knowledge base", "지식베이스"),
    "scorer": ("score", "점수 모형"),
    "lesion_library": ("lesion library", "병변 라이브러리"),
    "evidence": ("evidence", "근거"),
    "calibration_cohort": ("calibration cohort", "보정 코호트"),
    "calibrated_for": ("calibrated for", "보정 대상"),
}

LIMITS: tuple[tuple[str, Words], ...] = (
    (r"at least (\S+)", (r"at least \1", r"\1 이상")),
    (r"at most (\S+)", (r"at most \1", r"\1 이하")),
    (r"(\S+) to (\S+)", (r"\1 to \2", r"\1 ~ \2")),
    (r"a head that can be registered", (r"a head that can be registered", "정합할 수 있는 머리 영상")),
)
"""How gates word what they allow, and the same in either language."""
