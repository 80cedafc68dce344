"""English wordings of complaints, as patients say them.

Patterns see a clause in lower case after `rewritten`: every way of not being able to is ``cannot``, every way of
finding it hard is ``trouble``, "n't" is ``not``; side words are blanked. "No strength", "lost my balance", "cannot
find words" are cues in themselves.
"""

from __future__ import annotations

import re

from medsynth_app.clinical.story_cues import Lexicon, cues, parts

_REWRITES = (
    (r"[’`]", "'"),
    (r"\b(?:can't|cant|cannot|can not|couldn't|could not)(?: (?:even|properly|really|always|quite))?(?: be able to)?\b",
     "cannot"),
    (r"\b(?:can|could) (?:no longer|hardly|barely|not)\b", "cannot"),
    (r"\b(?:am|is|are|was|were|been|being|'m|become|became)? ?(?:unable|not able|no longer able|incapable) (?:to|of)\b",
     " cannot"),
    (r"\b(?:have |has |had |'ve )?(?:lost|losing|loses) the ability to\b", "cannot"),
    (r"\b(?:no longer|do not any more|do not)(?= (?:understand|recogni[sz]e|know|remember|make sense))", "cannot"),
    (r"\b(?:don't|doesn't|didn't|does not|do not)(?= (?:understand|recogni[sz]e|know|remember))", "cannot"),
    (r"\bno longer (?=understand|read|write|find|speak|recogni[sz]e|smell|feel|see|hear)", "cannot "),
    (r"\b(?:very |so |really |too |increasingly )?(?:hard|difficult|a struggle|impossible) (?:for me |for him |for her )?to\b",
     "trouble"),
    (r"\b(?:difficulty|difficulties|troubles?|struggl(?:e|es|ing|ed)|problems?|issues?|a hard time)"
     r"(?: (?:with|in|to|when))?\b", "trouble"),
    (r"\bforgot(?:ten)? how to\b", "cannot"),
    (r"\bwon't\b", "will not"),
    (r"\bleft (?:and|from|or|with) right\b|\bright (?:and|from|or|with) left\b|\bleft[- ]right\b", "leftright"),
    (r"n't\b", " not"),
    (r"'(?:ve|m|re|s|d|ll)\b", ""),
    (r"\bwithout (?:any )?(?:trouble|cannot)\b", "well"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), replacement) for pattern, replacement in _REWRITES)


def rewritten(text: str) -> str:
    """A normalised text with its ways of saying "cannot", "hard to" and "not" made one."""
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return re.sub(r"\s+", " ", text).strip()


_CUES = r"""
# ---- lack, before all else
WEAK                  \b(?:no|lost|losing|loss of|lack of|lacks?|without|little|less|reduced|not much|not enough|no more)\s+(?:all |any |the |my |much |its |of )*(?:strength|power|force|grip)\b|\b(?:strength|power) (?:went|gone|goes|left|has gone|is gone|is going|fails|disappeared)|\b(?:strength|power)\b(?=[^.]*\b(?:went|gone|fading|less|failing)\b)
NUMB                  \b(?:no|lost|losing|lose|loss of|lack of|without|little|less|reduced)\s+(?:all |any |the |my |much |of )*(?:feeling|feelings|sensation|sensations|touch)\b(?! (?:sick|ill|dizzy|tired|like|that|well))|cannot (?:feel|sense)\b(?! (?:sad|happy|joy))|\bfeeling (?:has )?(?:gone|went)
gait_ataxia           \b(?:no|lost|losing|lose|loss of|lack of|off|poor|bad|keep|keeping|trouble)\s*(?:all |any |the |my |sense of |of |in |with |keeping )*balance\b|cannot (?:keep|hold|find) (?:my |his |her )?balance|\bbalance\b\s*(?:is|has|was|been|seems|sense)?\s*(?:off|gone|bad|poor|worse|going|terrible|lost|not good|been (?:off|bad|poor))|\boff balance|\bunsteady\b|\bstagger|\bsway|\bwide apart|\bhold(?:ing)? (?:on to |onto )?the walls?|like a drunk\b(?! (?:talk|speak))|\bveer|\bwobbly|\blurch|(?:fall|lean|tilt|tip)(?:s|ing)? (?:over )?to (?:the )?\s+(?:side )?when i (?:stand|walk)|\bto the +when (?:i )?(?:stand|walk)|walk(?:ing)? is (?:unsteady|wobbly)
anosmia               \b(?:no|lost|losing|lose|loss of|lack of)\s+(?:all |any |the |my |sense of |of )*smell\b|cannot smell|\b(?:sense of )?smell\b (?:is|has|seems)\s*(?:been |completely |totally )?(?:gone|lost|weak|bad|disappeared|vanished)
memory_impairment     \b(?:no|lost|losing|poor|bad|loss of|trouble)\s+(?:all |any |the |my |of |short.term )*memor(?:y|ies)\b|\bmemory\b.{0,14}\b(?:bad|poor|worse|going|gone|terrible|failing|lapses?|loss|awful|not good|trouble|deteriorat\w*|slipp\w*)|repeat(?:s|ing)? (?:the same )?questions|\bforget(?!.{0,12}words)|\bforgot\b|\bforgetful|cannot (?:remember|recall)(?! (?:names|words|the name))|trouble (?:remembering|recalling)(?! (?:names|words))
# ---- spells and seizures
seizure_version       (?:head|eyes)\b.{0,30}\b(?:forced|pulled|turns?|turned|turning|drawn|twists?|jerked|yanked)\b.{0,12}(?:to|toward|round|side|\s{3,})
seizure_gtc           grand mal|tonic.clonic|generali[sz]ed (?:seizure|fit|convulsion)|whole body (?:was |is |started |began )?(?:shak|jerk|convuls|stiff)|bit(?:ten)? my tongue(?=.*(?:seiz|fit|shak))
seizure_gelastic      giggl|laughing (?:fits?|attacks?|spells?|seizures?)|laughs? suddenly
seizure_automatisms   (?:lips?|mouth)(?: is| are)? smack|smack\w* (?:his|her|my|the)? ?(?:lips|mouth)|pluck\w* at|fumbl\w+ with (?:his|her|my) clothes|chewing movements
seizure_impaired_awareness  \bblank(?:s|ed|ing)? out|\bstar(?:e|es|ing) (?:into|at|blank|off)|\bzon(?:e|es|ed|ing) out|(?:do|does|did) not (?:respond|answer|react)|\bunresponsive|far away|\babsences?\b|switch(?:es|ed)? off for|loses? contact|goes? blank
seizure_epigastric    (?:stomach|tummy|belly|chest|abdomen)\b.{0,30}\b(?:rises?|rising|comes? up|creep|wells?)|(?:rising|strange rising|odd|funny|weird) (?:feeling|sensation) (?:in|from) (?:my |the |his |her )?(?:stomach|tummy|belly|abdomen)|rising (?:feeling|sensation)
olfactory_hallucination  olfactory halluc\w*|smell(?:s|ed|ing)?\s+(?:of |a |an |some |something |strange |bad |awful |foul )*(?:burn\w*|rubber|rotten|gas|smoke|rot|petrol|odou?rs?|things)|(?:burn\w*|strange|odd|foul|phantom|rotten|bad|weird|funny) (?:smells?|odou?rs?)\b|nobody else (?:can )?smell
gustatory_hallucination  (?:strange|odd|metallic|funny|bad|weird|bitter|foul|awful) tastes?
deja_vu               d[eé]j[aà].?vu|(?:lived (?:this|it|that|through)\b.{0,20}before)|(?:lived|been|seen|happened|experienced) (?:it |this |here |there )*before|feels? (?:strangely |oddly |so )?familiar|reliving
seizure_fear          (?:waves?|attacks?|surges?|rush|feelings?|bursts?) of (?:fear|terror|dread|panic)|sudden(?:ly)? (?:fear|terror|frighten|terrified|afraid|scared|dread|panic)|fear for no reason
seizure_speech_arrest cannot (?:speak|talk) (?:during|in) (?:the |an |my )?(?:attack|seizure|fit|spell)|(?:spells?|attacks?|episodes?|moments?) (?:when|where|in which|that) (?:i |he |she )?(?:cannot|lose|trouble)\s*(?:speak|talk|say|get|my speech)|speech arrest
seizure_hypermotor    wild movements|thrash|kick\w* and (?:shout|scream)\w* in
auditory_hallucination auditory halluc\w*|hear(?:s|ing)? (?:music|voices|sounds|noises|things|songs|bells)
visual_hallucination_complex see(?:s|ing)? (?:\w+ ){0,2}(?:people|persons?|animals|figures|children|faces|things|someone|insects|a man|a woman)\b.{0,25}\b(?:not|nobody|n't)|(?<!auditory )(?<!olfactory )(?<!hearing )hallucinat
seizure_focal_motor   focal (?:motor )?seizures?|jacksonian
seizure_unspecified   \bseizures?\b|\bfits\b|\b(?:a|an|had|having|another|epileptic|first|of|no|my|the|big|any) fit\b(?! (?:in|into|well|of laugh))|convuls\w*|\bepilep\w*
syncope               (?<!is )(?<!sounds )\bfaint(?:ed|ing|s)?\b(?! (?:smell|taste|sound|line))|\bblack(?:ed|s|ing)? ?outs?\b|pass(?:ed|es|ing)? out|\bcollaps\w*|los(?:e|es|t|ing|s) (?:of )?consciousness|syncop\w*
confusion             \bconfus(?:ed|ion)\b|disorient\w*|(?:not|cannot) know where (?:he|she|i) (?:was|am|is|are)|delirious|muddled
drowsiness            \bdrows\w*|\bsleep(?:s|ing)? (?:all|most of the|too much|\w+ hours)|\bsleepy|somnolen\w*|cannot stay awake|trouble staying awake|always sleeping|fall(?:s|ing)? asleep
slowed_thinking       think(?:ing)? (?:has |is |have )?(?:become |got |getting |more )?slow\w*|slow(?:ed|er)? (?:thinking|thoughts|in my head)|slow(?:er)? to (?:think|react)|mentally slow
psychosis             spying on|out to get|watching me|paranoi\w*|delusion\w*|psychos\w*|plotting
pseudobulbar_affect   (?:urge to|cannot stop|cannot control|uncontroll\w+) (?:the |my )?(?:laugh|cry)\w*
emotional_lability    mood swings|burst(?:s|ing)? into tears|cr(?:y|ies|ying) (?:and laugh\w*|for no|easily|over nothing)|laughs? and cr(?:y|ies)|tearful|emotional(?:ly)? (?:unstable|labile)
disinhibition         \brude\b|swear(?:s|ing)?\b|dirty jokes|inappropriate|spend(?:s|ing)? (?:money )?(?:wildly|recklessly|like)|spend(?:s|ing)? money|impulsive|tactless|disinhibit\w*|undress\w* in
personality_change    personality\b|(?:not|no longer) (?:himself|herself|myself|the same person)|different person|character (?:has )?changed|changed (?:as a person|character)
akinetic_mutism       (?:does|do|did) not (?:speak|talk) or move
apathy                \bapath\w*|\b(?:no|lost|little|without|loss of|lack of)\s+(?:all |any |the |my |of )*(?:interest|motivation|drive|initiative)|\b(?:do|does|did) not (?:care|start|bother|look after|wash)|stopped (?:washing|caring|going out)|just sits|indifferent|unmotivated|listless
executive_dysfunction \bplan\b|planning|concentrat\w*|make decisions|decision|organi[sz]e|multitask|judge?ment|attention span|pay attention
depression            \bdepress\w*|\blow\b(?=[ ,]*(?:and|in mood|mood|,|$))|low mood|feel(?:ing)? (?:down|low|hopeless)|\bhopeless
anxiety               \banxi\w*|\bworried\b|worry\w*|\bnervous\b|on edge|panicky
fatigue               \btired\b|exhaust\w*|fatigue\w*|\b(?:no|lost|little|lack of|without) (?:all |any |the |my )*energy|worn out|weary|lethargic
# ---- memory, places, body
anosognosia           den(?:y|ies|ied) (?:that )?(?:his|her|the|my)\b.{0,14}\b(?:weak|paraly|anything wrong)|unaware of (?:his|her|the) (?:weak|paraly|defici)\w*|insists? (?:his|her).{0,20}fine
anomia                drop(?:ping|s)? words|lose the thread|(?:cannot|trouble) (?:find|finding|get|think of|thinking of|come up with|retriev\w*|remember|remembering|recall)\b.{0,14}\b(?:words?|names?)(?! how)|\b(?:no|lost|losing|lack of|loss of|lose) (?:for |my |the |all )*words\b|search(?:ing)? for words|words? (?:will not|do not|does not|fail|escape|go missing|not come)|forget(?:ting|s)? (?:the )?(?:words|names of)|names? of (?:ordinary|common|everyday)|tip of my tongue|word.?find\w*|naming|lost for words
finger_agnosia        (?:mix|confus|cannot name|cannot tell)\w* (?:up )?(?:my |his |her |the )*fingers|which finger
astereognosis         (?:cannot|not) (?:know|tell|recogni[sz]e|identify)\b.{0,24}(?:hold|holding|in (?:my|his|her|the)\b.{0,8}hand|by (?:touch|feel))|what it is holding
limb_apraxia          cannot (?:use|handle|work)\b.{0,20}\b(?:scissors|comb|fork|tools?|toothbrush|key|remote|knife|spoon)|cannot use (?:tools|scissors)
topographical_disorientation (?:get|gets|getting|got) lost|los(?:e|es|ing) my way|(?:cannot|trouble) (?:find|finding)\b.{0,8}\b(?:way|house|home|room|toilet)|lost in (?:my|his|her|familiar)
prosopagnosia         (?:cannot|trouble) (?:recogni[sz]e|recogni[sz]ing|know|identify)\b.{0,24}(?:faces?|friends|people|family|wife|husband)|faces? (?:look|are) (?:strange|all the same)
visual_agnosia        (?:cannot|not) (?:tell|know|recogni[sz]e)\b.{0,24}(?:objects?|things)\b.{0,12}(?:by look|by sight|when i look|are by)|what (?:objects|things) are
left_right_disorientation (?:tell|know|mix\w*|confus\w*|muddl\w*)\b.{0,14}\bleftright\b|leftright (?:confus|disorient)\w*
acalculia             (?:do |doing )?\bsums\b|\bcalculat\w*|add(?:ing)? up|handle money|handling money|arithmetic|\bmaths?\b|mental arithmetic|count (?:my |the )?(?:change|money)|work out (?:my |the )?change
dressing_apraxia      (?:cannot|trouble) (?:get )?dress\w*|inside out|(?:arm|hand)s? into the sleeve|put(?:ting)? (?:on )?(?:my |his |her )?clothes on (?:wrong|backward)|shirt (?:on )?backward
constructional_apraxia (?:cannot|trouble) (?:copy|copying|draw|drawing|assemble)\b
# ---- language and speech
alexia                letters?\b.{0,20}\b(?:make no sense|cannot make sense|not make sense|are a blur)
aphasia_receptive     (?:cannot|trouble|do not|does not|did not|not) (?:understand|understanding|follow(?:ing)?|comprehend)\w*\b(?! why)|\bnonsense\b|gibberish|make(?:s)? no sense|not make sense|words (?:sound|are) (?:like )?(?:nonsense|foreign|noise)
aphasia_conduction    (?:cannot|trouble) repeat\w*
alexia_without_agraphia cannot read but (?:i |he |she )?can (?:still )?write
alexia                (?:cannot|trouble) (?:read|reading)\b|reading (?:is|has become|makes) (?:hard|difficult|impossible|no sense)|letters (?:make no|do not make)|unable to read
agraphia              (?:cannot|trouble) (?:write|writing|spell|spelling|sign)\b|(?:hand)?writing (?:is|has|has become|got) (?:terrible|bad|worse|illegible|awful|poor|impossible)|just cannot write
dysarthria            \bslur\w*|sounds? drunk|tongue (?:feels? |is )?(?:thick|heavy|clumsy|numb)(?=.*(?:talk|speak|speech))|thick (?:when|speech)|pronounc\w*|\bmumbl\w*|dysarthri\w*|speak(?:s|ing)? (?:indistinctly|unclearly)|speech (?:is |has become |has been |sounds? )?(?:unclear|indistinct|thick|drunk\w*)
dysphonia             \bhoarse\w*|voice\b.{0,14}\b(?:hoarse|weak|gone|changed|husky|quiet|breathy|soft|raspy|faint)|(?:lost|losing|no) (?:my |his |her )?voice
aprosodia             flat voice|monoton\w*|(?:no|without|lost) emotion\b(?=.*(?:voice|speak|speech))|voice with no emotion|no emotion
aphasia_expressive    (?:cannot|trouble) (?:get|getting|bring|bringing|say|saying|speak|speaking|talk|talking|express|form|put)\b(?! on| new| (?:my|his|her) clothes of| up| to my| to the| over| rid| out of bed| dressed| my arm)|words? (?:do not |will not |not )?(?:come|coming) out|(?:lost|losing|loss of|lose|no) (?:my |the |of |all )*(?:speech|language|ability to speak)|speech (?:is |has become |has |was |became |got )?(?:slow|effortful|halting|gone|broken|hesitant|difficult|bad|worse)|(?:stop|stops|stopped) speaking|speak(?:s|ing)? slowly|aphasi\w*|\bspeechless|(?:trouble|cannot) (?:with )?(?:my )?speech
aphasia_unspecified   \bjumbl\w*|words? (?:get|are|come)\b.{0,10}(?:mixed|wrong|muddled|jumbled)|stumbl\w* over (?:my )?words|say the wrong words?|wrong words|mix(?:es|ing)? up (?:my )?words|talk(?:s|ing)? (?:rubbish|nonsense)|language (?:problem|trouble)|garbled
dysphagia             (?:trouble|cannot|hard|painful|do not|does not) swallow\w*|swallowing (?:is|has become|has|trouble|problem)\s*(?:been |become )?(?:hard|difficult|worse|bad|a problem|impossible)?|\bchok(?:e|es|ing|ed)\b|food (?:gets? |is )?st(?:uck|icks)|cough(?:s|ing)? when (?:i |he |she )?(?:drink|eat|swallow)\w*|dysphagi\w*|goes down the wrong
# ---- sight
quadrantanopia_superior (?:upper|top)\b.{0,20}(?:quarter|part|corner|quadrant|half)?\b.{0,16}(?:vision|sight|field|view)
quadrantanopia_inferior (?:lower|bottom)\b.{0,20}(?:quarter|part|corner|quadrant|half)?\b.{0,16}(?:vision|sight|field|view)
bitemporal_hemianopia outer (?:half|halves|fields?|parts?|sides?|edges?)|blinkers|tunnel vision|bitemporal|both sides of (?:my )?vision|peripheral vision
cortical_blindness    cortical(?:ly)? blind\w*|(?:cannot see|see) (?:anything|nothing) at all|blind (?:in|on) both|totally blind|completely blind|(?:gone|went) blind\b(?! in)
diplopia              (?:see|seeing|sees|saw) (?:things? |everything )?(?:double|two|twice)|double vision|two of everything|two images|doubled|diplopia
vertical_gaze_palsy   cannot (?:look|roll|move|raise|lift|turn)\b.{0,12}\b(?:up|upwards?)\b|(?:upward|vertical) gaze|trouble (?:look|looking) up|eyes (?:will not|do not|cannot) (?:go|move) up
horizontal_gaze_palsy cannot (?:look|move|turn)\b.{0,34}\beyes\b|(?:both |my )?eyes (?:will not|cannot|do not) (?:turn|move|look) to (?:the )?
cn6_palsy             eye\b.{0,12}(?:will not|cannot|does not|not) (?:turn|move|go) out\w*|sixth nerve|abducens
horner                (?:not|no) sweat\w*|horner
cn3_palsy             (?:eye)?lid\b.{0,24}\bclos\w*|(?:eye)?lids? (?:is |are |has |keeps? |has been |started )?(?:droop\w*|hang\w*|fall\w*|sag\w*|clos\w*|down)|droop\w* (?:of (?:my |the )?)?(?:eye)?lid|ptosis|pupil\b.{0,20}\b(?:big\w*|larg\w*|wide|dilated|huge)|lid.{0,10}will not open
achromatopsia         colou?rs?\b.{0,24}(?:wash|faded|grey|gray|gone|pale|dull|drained)|cannot see colou?rs?
nystagmus             eyes?\b.{0,10}\b(?:jump|wobbl|jerk|flick|jiggl|bounc|twitch|oscillat|dart|shak)\w*|nystagmus
visual_hallucination_simple flash(?:ing|es) ?(?:lights?|of light)?|zig.?zag|sparkl\w*|coloured (?:spots|lights|blobs)|\bstars\b|lights? flash\w*|shimmer\w*|flicker\w*
BLUR                  \bblur\w*|\bfuzzy\b|\bhazy\b|\bfoggy (?:vision|sight)|misty|vision (?:is |has |gets |seems )?(?:cloudy|unclear|foggy|worse|poor|bad|deteriorat\w*)
BLIND                 lost (?:the )?\s*half of what|hole in (?:my |the )?(?:vision|sight)|cannot see (?:anything |well |much |clearly |properly )*(?!double|two)|(?:lost|losing|no|loss of|lose|missing) (?:all |the |my |of |part of |half (?:of )?(?:my |the )?|some )*(?:vision|sight|eyesight)\b|(?:vision|sight|eyesight)\b.{0,30}\b(?:gone|going|fad\w+|miss\w+|lost|disappear\w*|cut off|dim\w*|fail\w*|black)|half of (?:my |the )?(?:everything|vision|sight|field|view|visual field|world)|half (?:the |my )?(?:field|vision|sight|world)|blind spot|(?:hemi|quadrant)anopi\w*|visual field|blind (?:in|on|to)|blindness|(?:the )?(?:outer|half)\b.{0,12}\bfields?\b|miss(?:ing)? (?:things|objects|cars|people|words) (?:on|at) the|side of (?:my )?vision|trouble seeing|do(?:es)? not see (?:anything|things|what)
# ---- hearing, balance
hearing_loss_unilateral \bdeaf\w*|(?:cannot|trouble) hear\w*|hearing\b.{0,16}\b(?:gone|lost|worse|bad|poor|loss|going|down|less|failing|decreas\w*|muffled|disappeared)|(?:lost|losing|loss of|no) (?:all |my |the |of )*hearing|\bhear (?:less|badly|poorly)
tinnitus              \bringing|buzz\w*|roar\w*|hiss\w*|whistling in|tinnitus|humming|\bnoises? in (?:my|the)\b.{0,8}ear
vertigo               \bdizz\w*|vertigo|\bgiddy|room (?:is )?spin\w*|(?:everything|world|things|room) (?:is |keeps? |starts? )?(?:spin|turn|whirl)\w*|light.?headed|on a boat|woozy
gait_apraxia          feet (?:stick|are glued|stuck|freeze)|(?:stuck|glued|frozen) to the (?:floor|ground)|cannot (?:start|initiate) walk\w*
gait_disturbance      (?:trouble|cannot) walk\w*|walk(?:s|ing)? (?:is |has |has become |got |badly|slow|poorly|worse|more slow)\s*(?:become |got |been |getting )*(?:trouble|difficult|hard|worse|bad|slow|poor)?|shuffl\w*|gait
falls                 (?:keep|keeps|kept|been|often|frequently|started) (?:on )?fall\w*|\bfalling over\b|\bfell (?:several|many|twice|again|often|a lot)|\bi fell\b(?! (?:asleep|in love|off|from))|\bfalls\b|(?:have|had) (?:many |several |some )?falls|and fell\b|^i fall\b|\bfell\b$
dysmetria             overshoot\w*|miss(?:es)?\b.{0,10}\b(?:cup|target|glass|object|door ?knob|mark)\b|reach past|misjudge
chorea_hemiballism    flung|fling\w*|chorea|ballis\w*|flail\w*
alien_limb            (?:does|do) what it (?:likes|wants)|mind of its own|without me wanting|grabs? things|acts? on its own|against my will|alien (?:hand|limb)|moves? by itself|by itself
neglect               ignor\w*|bump\w* (?:in)?to\b|shaves? only|\bneglect\w*|leaves? the food on|eats? only|(?:miss|walk into) things|not notice (?:things|people|anything)|unaware of (?:the|his|her|things)
diabetes_insipidus    thirst\w*|drink(?:s|ing)? (?:litres|liters|gallons|a lot of water)|pass(?:es|ing)? (?:a lot of )?(?:water|urine)|diabetes insipidus
hyperphagia           (?:always|constantly|very|so) hungry|cannot stop eating|eat(?:s|ing)? (?:all the time|too much|everything|constantly|non.?stop)|binge|ravenous
urinary_incontinence  wets? (?:himself|herself|myself|the bed|his|her)|\bwet (?:himself|herself|myself|the bed)|incontinen\w*|cannot hold (?:my |his |her )?(?:urine|water|pee|bladder)|leak\w* urine|bladder control|pee\w* (?:my|his|her)self
hypopituitarism       periods? (?:have |has )?(?:stopped|gone|disappeared)|milk (?:comes?|leak)|libido|pituitary
hiccups_persistent    hicc?up\w*|hiccough\w*
nausea_vomiting       vomit\w*|\bnause\w*|throw(?:s|ing)? up|threw up|(?:feel|feeling|felt|feels) (?:so |very )?sick\b|\bbeing sick|am sick every|sick (?:in the|every) morning|queasy|sick to my stomach|\bpuk\w+
papilledema           papill?o?edema|swollen (?:optic )?dis[ck]s?
thalamic_pain         burning pain|(?:burns?|burning)\b.{0,16}\bside\b|pain down (?:the|my)(?: whole)?
HEADPAIN              headaches?|\bmigraines?|head (?:hurts|aches|is (?:pounding|throbbing|killing)|pounds|throbs)|pain in (?:my|the) (?:\s*side of (?:my |the )?)?head|(?:pressure|ache) in (?:my|the) head
# ---- qualities that need a part
REST_SHAKE            (?:trembl|shak|tremor)\w*\b.{0,20}\b(?:at rest|rest(?:s|ing)\b|when resting|when (?:i am )?still|on my lap|doing nothing)|rest(?:ing)? tremor|parkinson\w*
REACH                 (?:shak|trembl|tremor)\w*\b.{0,20}\b(?:when|if|as) (?:i|he|she|it)?\s*(?:reach|try|tries|do|does|write|pick|want|grab|hold|point)\w*|intention tremor|when i reach\b.{0,24}(?:shak|trembl)\w*
MARCH                 (?:ting|numb|pins and needles|prickl|feeling|sensation)\w*\b.{0,40}\b(?:spread|march|creep|climb|travel|crawl|moves? up)\w*
TWITCH                \btwitch\w*|\bjerk\w*|\bspasms?\b|goes into spasm|convulsive|curls? up
SHAKE                 \bshak(?:e|es|ing|y)\b|\btrembl\w*|\btremors?
NUMB                  \bnumb(?:ness|ed|er)?\b|feels? dead|\bdead (?:feeling|arm|leg|hand)|\bdeaden\w*|no longer feel
TINGLE                tingl\w*|pins and needles|prickl\w*|\basleep\b(?! (?:at|in|on))|par(?:a)?esthesi\w*
CLUMSY                clums\w*|fumbl\w*|drop(?:s|ping)? (?:things|objects|cups|everything|stuff|plates|my)|\bdrop things|button\w*|will not do what|does not do what|not (?:do|obey)\b.{0,8}what|not work(?:ing)? properly|awkward|fine movements?|dexterity
GRIP                  cannot (?:hold|grip|grasp)\b(?! (?:my |his |her )?(?:urine|water|pee|bladder|balance))
HEAVY                 \bheavy\b|\bheaviness
DROOP                 \bdroop\w*|\bsag(?:s|ging)?\b|pulled down|hangs? down
CROOKED               \bcrooked\b|lop.?sided|\bdribbl\w*|\buneven\b|\bdrool\w*|facial palsy|smile (?:is|has become|looks)
WEAK                  \bweak\w*|paraly[sz]\w*|paresis|hemipleg\w*|gave way|giv(?:e|es|ing) way|giv(?:e|es|ing) out|\bbuckl\w*|\blimp(?:ing|s)?\b|hangs? there|hanging|cannot (?:move|lift|raise|use)\b|trouble (?:moving|lifting|raising|using)|not as strong|drag(?:s|ging|ged)?\b|\btrip(?:s|ping)? (?:over|up)|not move|power is|less strong
"""

_FUNCTIONS = r"""
aphasia_receptive     (?:i |he |she )?understands? (?:everything|all|what|well)|understanding|comprehension
aphasia_unspecified   \bspeech|\bspeaking|\btalking|\blanguage|speak (?:fine|well|normally)|talk (?:fine|well|normally)
dysphagia             swallow(?:ing)?\b
dysphonia             \bvoice
hearing_loss_unilateral \bhearing\b|\bhear (?:fine|well|normally)|\bears?\b(?= (?:is|are|seem))
memory_impairment     \bmemory
gait_disturbance      \bwalking\b|walk (?:fine|well|normally)
alexia                \breading\b
agraphia              \bwriting\b|can (?:still )?write
blurred_vision        \bvision\b|\beyesight|\bsight\b|\beyes?\b(?= (?:is|are|seem))|see (?:fine|well|normally)|wrong with my eyes
gait_ataxia           \bbalance\b
NUMB                  \bsensation\b|\bfeeling\b(?= in)
WEAK                  \bstrength\b|\bpower\b|\barms?\b(?= (?:is|are|feels?) )|\blegs?\b(?= (?:is|are|feels?) )|\bhands?\b(?= (?:is|are|feels?) )
"""

_PARTS = r"""
arm   \barms?\b|forearm|upper limb|\bshoulder\b|\belbow\b
hand  \bhands?\b|\bfingers?\b|\bthumb\b|\bwrist\b|\bgrip\b
leg   \blegs?\b|\bknees?\b|\bthigh\b|\bcalf\b|lower limb
foot  \bfoot\b|\bankles?\b|\bfeet\b|\btoes?\b
face  \bface\b|\bfacial\b|\bcheeks?\b|\bforehead\b|\bchin\b|\bmouth\b|\blips?\b|\bsmile\b
eyelid \b(?:eye)?lids?\b
pupil \bpupils?\b
eye   \beyes?\b
tongue \btongue\b
ear   \bears?\b
head  \bhead\b|headaches?
body  \bbody\b|\bsided\b|\bside\b|\bhalf of (?:my )?body
"""

_LIGHT = (
    r"(?:any|a|an|the|my|his|her|more|other|real|bad|kind of|sort of|have|has|had|having|get|gets|getting|got|feel|feeling"
    r"|feels|felt|seem|be|been|being|am|is|are|was|were|i|he|she|it|to|of|in|with|from|for|suffer(?:ed|ing)?|experience[ds]?"
    r"|experiencing|notice[ds]?|ever|really|very|at all|all|further|history|signs?|symptoms?|trouble|episodes?|previous|new|recent"
    r"|sense|see|lose|lost|also|particularly|there|actually|both|either|too|so|that|yet)"
)

ENGLISH = Lexicon(
    cues=cues(_CUES) + cues(_FUNCTIONS, function=True),
    parts=parts(_PARTS),
    clause_end=re.compile(
        r"[.!?;:,\n…]+\s*(?:(?:and|but|or|nor|so|then|although|though|however|while|just|only|yet|because)\s+)*"
        r"|\s+(?:and then|and also|and|but|although|though|however|while|whereas|so|then|because|nor|yet)\s+"
    ),
    list_joint=re.compile(r"^\s*(?:,|/|and|or|nor|any|a|of|the|no|\s)*\s*$"),
    denied_after=re.compile(
        r"^(?:\s+(?:is|are|was|were|has been|have been)\s+(?:denied|absent|not present|ruled out|gone now)\b"
        r"|\s*:\s*(?:no|none|denied)\b|\s+(?:reading |swallowing |speaking |at all )*gives? me no\b)"
    ),
    well_after=re.compile(
        r"^(?:\s+(?:is|are|was|were|feels?|seems?|stays?|remains?|works?|gives?|in (?:my|the|both)\b.{0,14}\bis|of (?:my|the)\b.{0,14}\bis"
        r"|on (?:the|that)\b.{0,12}\bis))*\s*(?:still |perfectly |quite |all |completely |pretty |just |me |very |absolutely )*"
        r"(?:fine|normal|ok|okay|good|intact|unaffected|perfect|alright|all right|well|strong|no trouble|not affected|unchanged|everything"
        r"|excellent|clear)\b"
    ),
    same_again=re.compile(r"\b(?:too|also|as well|does too|the same|so does|so is|either)\b"),
    filler=re.compile(
        r"\b(?:i|me|my|he|she|it|they|have|has|had|am|is|are|was|were|be|been|the|a|an|of|to|in|on|for|since|about|over|past|few|it all|"
        r"began|started|with|weeks?|months?|days?|years?|times?|every|now|then|just|only|this|last|says?|said|that|wife|husband|daughter|"
        r"son|mother|father|doctor|noticed|reports?|apart|from|feel|well|day|mornings?|evenings?|comes?|goes?|worse|better|and|than|it was)\b"
    ),
)
"""English."""

DENIED_BEFORE = re.compile(
    rf"\b(?:no|not|never|without|den(?:y|ies|ied)|denying|neither|nor|none|free of|absence of|nothing wrong with|any more)\s+(?:{_LIGHT}\s+)*$"
)
"""What stands before an English cue that is denied, up to its very start."""
