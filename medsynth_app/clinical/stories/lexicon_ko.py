"""Korean wordings of complaints, as patients say them.

Words of lack (힘, 감각, 기운, 균형, 말, 시야, 기억 with 없다, 안, 못) are cues in themselves. Patterns see a clause
in NFC with its side words blanked (``오른팔`` is ``  팔``).
"""

from __future__ import annotations

import re

from medsynth_app.clinical.stories.cues import Lexicon, cues, parts, read_tables

_TABLES = read_tables("ko")

KOREAN = Lexicon(
    cues=cues(_TABLES["cues"]) + cues(_TABLES["functions"], function=True),
    parts=parts(_TABLES["parts"]),
    clause_end=re.compile(
        r"[.!?;,\n。、…~]+\s*"
        r"|(?<=[가-힣])(?:(?<!려)고(?!\s*(?:있|싶|해요))|며|지만|는데|은데|인데|운데|면서|더니|다가|나)(?:요|도|는)?(?:\s+(?:나서|나서부터|나면)(?:부터)?)?\s+"
        r"|(?<=픈)데\s+|(?<=[한린운진])데\s+|(?<=[가-힣]서)(?<!에서)(?<!어디서)(?<!혼자서)\s+(?!있으면)"
        r"|(?:^|(?<=\s))(?:그리고|그런데|근데|하지만|그래서|그러나|또|또한|그냥|게다가)\s+"
    ),
    list_joint=re.compile(
        r"^[가-힣]{0,2}?\s*(?:증상)?\s*(?:이나|나|과|와|랑|이랑|하고|도|이든|및|또는|거나|·|/|,|\s)*\s*$"
    ),
    denied_after=re.compile(
        r"^(?:[가-힣]{0,3}지(?:는|도|를|가)?\s*(?:않|아니|안(?=\s?[하해])|못\s*느)"
        r"|[가-힣]{0,2}(?:\s*(?:증상|느낌|병력|감각|문제))?(?:은|는|이|가|도|을|를|같은\s*(?:건|것은))?\s*"
        r"(?:전혀|아예|한\s*번도|별로|하나도|아직|딱히|따로|특별히|안|요즘은)?\s*"
        r"(?:없(?!어[지져졌]|던|애)|안\s?(?:해|했|나(?!아)|났|하|느껴|생|와|왔|빠|잃)|않|아니|아닙|부인|못\s*느|잃지\s*않)"
        r"|[가-힣]{0,3}\s*(?:건|것은|것도|것이|게|거는|거|적은|적이|적도|적|데는|데도|일은|일도)\s*"
        r"(?:전혀|한\s*번도|별로)?\s*(?:없|아니)"
        r"|\s*없이)"
    ),
    well_after=re.compile(
        r"^[은는이가도을를에만]{0,2}\s*(?:다|별|별다른|아무|전혀|그런대로|아직|모두|둘\s*다)?\s*(?:알아들|괜찮|멀쩡|정상|양호"
        r"|문제[는가도]?\s*(?:는\s*)?(?:전혀\s*)?없|이상[은이도]?\s*(?:전혀\s*)?없|잘\s*(?:해|하|돼|되|보|들|나|걷|걸|삼|쓰|읽)"
        r"|좋[아은습다]|있(?:는데|어|습|고|지만)|안\s*아|하는데|삼[켜키]|다\s*해|하지만|그대로)"
    ),
    same_again=re.compile(r"도\s*(?:그래|그렇|마찬가지|똑같|같아|요|$)"),
    filler=re.compile(
        r"(?:있|됐|되었|해|했|하)(?:어요|습니다|어|다|대요|고요|는데|고)?|증상|그냥|그리고|지금|요즘|최근|에서?|부터|이제는?|제가?|저는|나는"
    ),
)
"""Korean."""
