"""A lay phrase as words that carry meaning, each with what negates it.

Two kinds of "not" must be told apart. *Inability* is the symptom itself: "can't lift my arm", 냄새를 못
맡아요. *Negation* denies: "no headache", 두통은 없어요. But "doesn't recognise faces" and 안 보여요 negate
and still report a symptom. So a word only carries marks here; whether they deny is decided against what the
phrase was matched with (`denial.py`): a mark that the knowledge base's own wording also has is part of the
symptom.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from medsynth_app.clinical.free_text.korean import is_korean, stem


@dataclass(frozen=True)
class Token:
    """One word of a phrase.

    Attributes:
        text: the word as written (lower case, NFC).
        stem: what is compared.
        inability: it is something that cannot be done.
        negated: a "not" stands over it.
        last: it is the final word of meaning: in Korean the predicate, whose negation denies.
    """

    text: str
    stem: str
    inability: bool = False
    negated: bool = False
    last: bool = False

    @property
    def polarity(self) -> int:
        """0 as is, 1 negated or impossible, 2 both ("no trouble speaking")."""
        return int(self.inability) + int(self.negated)


@dataclass(frozen=True)
class Phrase:
    """A phrase ready to be compared.

    Attributes:
        tokens: its words of meaning, in order.
        said_to_be_fine: it says that all is well ("my memory is fine", 팔 힘은 괜찮아요).
    """

    tokens: tuple[Token, ...]
    said_to_be_fine: bool = False


_FINE_ENGLISH = re.compile(
    r"\b(?:is|are|am|was|were|feels?|seems?|works?|s|been)\s+(?:(?:still|perfectly|quite|all|completely|pretty|just)\s+)*"
    r"(?:fine|normal|ok|okay|good|intact|unaffected|perfect|right|alright|well)\s*$"
)
_FINE_KOREAN = re.compile(
    r"(?:괜찮|정상|멀쩡|양호)(?:아요|습니다|합니다|해요|하다|하고요|이에요|입니다|이요|네요|음|함|다)?\s*$"
    r"|(?:이상|문제)(?:은|는|이|가|도)?\s?(?:전혀\s)?없[가-힣]*\s*$"
)


def parse_phrase(text: str) -> Phrase:
    """Split a phrase into words of meaning.

    Args:
        text: normalised phrase without side words (`korean.normalise`, `side_words.mentioned_side`).
    """
    plain = re.sub(r"[^\w\s'’]", " ", text).replace("’", "'").strip()
    fine = _FINE_KOREAN if is_korean(plain) else _FINE_ENGLISH
    shortened = fine.sub(" ", plain)
    tokens = _mark_last(_korean_tokens(shortened) if is_korean(plain) else _english_tokens(shortened))
    return Phrase(tokens, said_to_be_fine=shortened != plain)


def _mark_last(tokens: list[Token]) -> tuple[Token, ...]:
    if tokens:
        final = tokens[-1]
        tokens[-1] = Token(final.text, final.stem, final.inability, final.negated, last=True)
    return tuple(tokens)


# ---- Korean ----

_INABILITY, _NEGATION = "\u0001", "\u0002"
"""Marks put before a Korean word while its clause is rewritten; never part of real text."""

_KOREAN_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    # 삼키기 힘들지 않아요: not unable
    (re.compile(r"([가-힣]+)기(?:가|는|도|에)?\s*(?:힘들|어렵|곤란하|버겁)지(?:는|도)?\s*않[가-힣]*"),
     rf"{_INABILITY}{_NEGATION}\1다"),
    # 읽지(를) 못해요 / 저리지(는) 않아요
    (re.compile(r"([가-힣]+?)(?:지를|지는|지도|지가|지|질)\s*못[가-힣]*"), rf"{_INABILITY}\1다"),
    (re.compile(r"([가-힣]+?)(?:지를|지는|지도|지가|지|질)\s*(?:않|안\s?[하해])[가-힣]*"),
     rf"{_NEGATION}\1다"),
    # 볼 수(가) 없어요
    (re.compile(r"([가-힣]+)\s+수(?:가|는|도|조차)?\s*(?:전혀\s*)?없[가-힣]*"), rf"{_INABILITY}\1"),
    # 삼키기(가) 힘들어요
    (re.compile(
        r"([가-힣]+)기(?:가|는|도|에|조차)?\s*(?:너무|좀|많이|점점)?\s*"
        r"(?:힘들|힘드|어렵|어려|곤란|버겁)[가-힣]*"
     ),
     rf"{_INABILITY}\1다"),
    # 한 번도 없, 한 적(이) 없: the noun before is what is denied
    (re.compile(r"(?:한|단)\s*번도"), " "),
    (re.compile(r"(?<=[가-힣])\s+적[은이도]?(?=\s*(?:전혀\s*)?없)"), " "),
    # 없던 두통이 생겼어요: newly come, not absent
    (re.compile(r"없(?:던|었던)"), " "),
    (re.compile(r"(?<![가-힣])못\s*(?=[가-힣])"), _INABILITY),
    (re.compile(r"(?<![가-힣])안\s+(?=[가-힣])"), _NEGATION),
    # 안보여요 written together; 안경, 안과, 안면, 안검, 안개, 안구, 안진 are nouns
    (re.compile(
        r"(?<![가-힣])안(?=보[이여일]|들[리려]|움직|나[오와]|느껴|되|돼|돌아|떠|올라|잡[히혀]|떨어|멈|나요"
        r"|감[기겨])"
     ),
     _NEGATION),
)  # fmt: skip
_KOREAN_WORD = re.compile(rf"([{_INABILITY}{_NEGATION}]*)\s*([가-힣A-Za-z0-9]+)")
_KOREAN_FILLERS = frozenset(
    [
        "요즘", "요새", "자꾸", "계속", "갑자기", "가끔", "너무", "정말", "진짜", "많이", "조금", "좀",
        "아주", "매우", "제", "제가", "저는", "나는", "내", "내가", "우리", "그", "이", "저", "것", "거",
        "것이", "게", "때", "때마다", "때는", "더", "다", "잘", "하나도", "아예", "전혀", "별로", "그냥",
        "막", "점점", "최근", "최근에", "며칠", "오늘", "어제", "같아요", "같은", "같이", "것처럼",
        "있어요", "있습니다", "있다", "있는", "됐어요", "되었어요", "그리고", "근데", "그런데", "하지만",
        "는", "은", "이", "가", "을", "를", "수", "수가", "정도", "마치", "약간", "특히", "아버지가",
        "어머니가", "남편이", "아내가", "엄마가", "아빠가", "환자가", "본인이", "어머니", "아버지",
        "남편", "아내", "증상은", "증상이", "증상", "느낌이", "느낌은",
    ]
)  # fmt: skip
_KOREAN_ABSENT = re.compile(r"^(?:없|아니|아닙|아녜|않)")
_FEELING_STEMS = frozenset({stem("느껴요"), stem("느끼다"), stem("느낀다")})


def _korean_tokens(text: str) -> list[Token]:
    for pattern, replacement in _KOREAN_REWRITES:
        text = pattern.sub(replacement, text)
    tokens: list[Token] = []
    for match in _KOREAN_WORD.finditer(text):
        marks, word = match.groups()
        if word in _KOREAN_FILLERS and not marks:
            continue
        tokens.append(_korean_token(word, marks))
    return tokens


def _korean_token(word: str, marks: str) -> Token:
    spelled = stem(word) if is_korean(word) else english_stem(word)
    absent = bool(_KOREAN_ABSENT.match(word))
    inability, negated = _INABILITY in marks, _NEGATION in marks or absent
    # 어지럼증은 못 느껴요 denies; that the senses can fail to feel is left to the knowledge base's wording
    if inability and spelled in _FEELING_STEMS:
        inability, negated = False, True
    return Token(word, spelled, inability, negated)


# ---- English ----

_CONTRACTIONS = (
    (re.compile(r"\b(?:can't|cant|cannot|can not|couldn't|could not)\b"), " cannot "),
    (re.compile(
        r"\b(?:unable to|not able to|inability to"
        r"|(?:very |so )?(?:hard|difficult|impossible) (?:for me )?to)\b"
     ),
     " cannot "),
    (re.compile(r"\b(?:difficulty|difficulties|troubles?|struggl\w+|problems?)\b(?:\s+(?:with|in|to))?"),
     " cannot "),
    (re.compile(r"\b(?:lost|loses|losing) the ability to\b"), " cannot "),
    (re.compile(r"\b(\w+)n't\b"), " not "),
    (re.compile(r"\b(?:don|doesn|didn|isn|won|wasn|haven|hasn)t\b"), " not "),
    (re.compile(
        r"\b(?:denies|deny|denied|denying|without|never|no|none|nor|neither|free of|absence of|hardly)\b"
     ), " not "),
    (re.compile(r"\bfor (?:not|no) (?:reason|cause)\b"), " noreason "),
    (re.compile(r"\b(?:not|no) longer\b"), " not "),
    (re.compile(r"'\w*"), " "),
)  # fmt: skip
_ENGLISH_FILLERS = frozenset(
    [
        "a", "an", "the", "i", "me", "my", "mine", "myself", "you", "your", "he", "him", "his", "himself",
        "she", "her", "hers", "herself", "it", "its", "itself", "we", "us", "our", "they", "them",
        "their", "this", "that", "these", "those", "is", "am", "are", "was", "were", "be", "been",
        "being", "have", "has", "had", "having", "do", "does", "did", "doing", "will", "would", "shall",
        "should", "may", "might", "must", "to", "of", "in", "on", "at", "with", "for", "from", "by",
        "about", "into", "onto", "and", "or", "but", "as", "if", "than", "then", "there", "when", "while",
        "where", "because", "since", "who", "whom", "which", "what", "how", "so", "very", "really",
        "just", "quite", "some", "any", "all", "bit", "lot", "sort", "kind", "also", "too", "s", "t", "m",
        "re", "ve", "ll", "d", "keep", "keeps", "kept", "get", "gets", "got", "getting", "gotten",
        "become", "becomes", "became", "start", "started", "starts", "seem", "seems", "seemed", "lately",
        "recently", "now", "sometimes", "often", "usually", "today", "yesterday", "week", "weeks",
        "month", "months", "day", "days", "suffer", "suffers", "suffering", "experience", "experiencing",
        "experienced", "notice", "noticed", "notices", "complain", "complains", "sign", "signs",
        "symptom", "symptoms", "anymore", "more", "ever", "at", "exactly", "exact", "much", "many",
        "such", "wife", "husband", "mother", "father", "mum", "mom", "dad", "son", "daughter", "patient",
        "doctor", "says", "said", "say",
    ]
)  # fmt: skip
_PASSING = frozenset({"feel", "see", "have", "sense", "make"})
"""Words that a negation passes through: "don't feel dizzy" denies the dizziness."""

_IRREGULAR = {
    "lost": "lose", "fell": "fall", "fallen": "fall", "felt": "feel", "heard": "hear", "saw": "see",
    "seen": "see",
    "spoke": "speak", "spoken": "speak", "forgot": "forget", "forgotten": "forget", "threw": "throw",
    "thrown": "throw", "shook": "shake", "shaken": "shake", "shaky": "shake", "stuck": "stick", "went": "go",
    "gone": "go", "goes": "go", "bit": "bite", "bitten": "bite", "drank": "drink", "ate": "eat",
    "eaten": "eat",
    "understood": "understand", "wrote": "write", "written": "write", "slept": "sleep", "asleep": "sleep",
    "sleepy": "sleep", "wet": "wet", "woke": "wake", "thought": "think", "couldn": "could", "feet": "foot",
    "teeth": "tooth", "people": "person", "men": "man", "kids": "child", "kid": "child", "children": "child",
    "peed": "pee", "dizziness": "dizzy", "numbness": "numb", "weakness": "weak", "stiffness": "stiff",
    "clumsiness": "clumsy", "tiredness": "tired", "vision": "sight", "eyesight": "sight", "seeing": "see",
    "colour": "color", "paralysed": "paralyse", "paralyzed": "paralyse", "paralysis": "paralyse",
    "died": "die", "dying": "die", "lying": "lie", "hung": "hang", "drove": "drive", "left": "left",
    "spun": "spin", "sank": "sink", "swollen": "swell", "swelling": "swell", "knew": "know", "known": "know",
    "recognize": "recognise", "recognized": "recognise", "organize": "organise", "convulsion": "convulse",
    "convulsions": "convulse", "fainted": "faint", "fainting": "faint", "nauseous": "nausea",
    "nauseated": "nausea",
    "puke": "vomit", "puked": "vomit", "stumble": "stumble", "memories": "memory", "strength": "strong",
}  # fmt: skip
_SUFFIXES = ("ingly", "edly", "ings", "ing", "ies", "ied", "ed", "es", "ly", "s")


def english_stem(word: str) -> str:
    """A word less its inflection: a short table of irregular forms, then common suffixes."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:  # noqa: PLR2004 - "sing" keeps its ing
            base = word[: -len(suffix)] + ("y" if suffix in {"ies", "ied"} else "")
            if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz":  # noqa: PLR2004
                base = base[:-1]
            base = base.removesuffix("e")
            return _IRREGULAR.get(base, base)
    return word.removesuffix("e") if len(word) > 4 else word  # noqa: PLR2004


def _english_tokens(text: str) -> list[Token]:
    for pattern, replacement in _CONTRACTIONS:
        text = pattern.sub(replacement, text)
    tokens: list[Token] = []
    inability = negated = chain = False
    for word in re.findall(r"[a-z0-9]+", text):
        if word in {"cannot", "not"}:
            # two in a row add up ("no trouble"); a fresh clause starts afresh
            inability, negated = inability or word == "cannot", negated or word == "not"
            chain = False
        elif word in {"or", "and"}:
            chain = bool(tokens) and tokens[-1].negated
        elif word not in _ENGLISH_FILLERS:
            if chain:
                inability, negated, chain = tokens[-1].inability, True, False
            spelled = english_stem(word)
            tokens.append(Token(word, spelled, inability, negated))
            if spelled not in _PASSING:
                inability = negated = False
    return tokens
