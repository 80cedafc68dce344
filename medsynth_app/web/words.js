// Every word of the page, once in English and once in Korean.
const WORDS = {
  skip: ["Skip to the content", "본문으로 건너뛰기"],
  notice: ["Research and education only. Not a medical device. Not for diagnosis or treatment decisions.",
    "연구와 교육 전용입니다. 의료기기가 아니며, 진단이나 치료 결정에 사용할 수 없습니다."],
  language: ["Language", "언어"], theme: ["Theme", "테마"], theme_auto: ["as the system", "시스템 설정"], theme_dark: ["dark", "어둡게"], theme_light: ["light", "밝게"], tab_cases: ["Cases", "증례"], tab_generators: ["Synthesis", "합성"],
  tab_rounds: ["Rounds", "라운드"], cases: ["Cases", "증례"], search: ["Search", "검색"], no_case: ["Choose a case", "증례를 고르세요"],
  sequence: ["Sequence", "시퀀스"], view: ["View", "보기"], opacity: ["Mask", "마스크"], segment: ["Segment tumour", "종양 분할"],
  multi: ["Planes", "세 단면"], axial: ["Axial", "축상면"], coronal: ["Coronal", "관상면"], sagittal: ["Sagittal", "시상면"], render: ["3-D", "3차원"],
  canvas: ["Sequence with the mask over it; arrow keys and page up, page down move the crosshair, space makes a dot with the pen", "마스크를 겹친 시퀀스, 화살표와 PageUp, PageDown 키로 십자선 이동, 스페이스로 펜 점 찍기"],
  loading: ["Loading…", "불러오는 중…"], segmenting: ["Segmenting…", "분할하는 중…"], seconds: ["done in {} s", "{}초 만에 완료"],
  labelled: ["labelled", "라벨 있음"], synthetic: ["synthetic", "합성"], empty: ["No case found", "증례가 없습니다"],
  necrotic_core: ["Necrotic core", "괴사 중심"], edema: ["Oedema", "부종"], enhancing_tumor: ["Enhancing tumour", "조영 증강 종양"],
  symptoms: ["Does the site explain the symptoms?", "위치가 증상을 설명하나요?"], phrase: ["Symptom in the patient's words", "환자의 말로 적은 증상"],
  phrase_hint: ["e.g. right arm is weak and words do not come", "예: 오른팔에 힘이 없고 말이 잘 안 나와요"], age: ["Age", "나이"], hand: ["Handedness", "주로 쓰는 손"],
  right: ["right", "오른쪽"], left: ["left", "왼쪽"], both: ["both", "양쪽"], unknown: ["unknown", "모름"], ambidextrous: ["both hands", "양손"],
  add_all: ["+ all {}", "+ {}개 모두"], not_understood: ["Not understood: {}", "이해하지 못함: {}"],
  suspected: ["Where these symptoms point, before any image", "영상 전에 증상이 가리키는 곳"], suspect: ["Suspected regions", "의심 부위"],
  points_nowhere: ["No answer points to a region.", "특정 부위를 가리키는 증상이 없습니다."], from_above: ["From above", "위에서"], from_left: ["From the left", "왼쪽에서"],
  stands_in: ["services unknown; {} stands in", "제공 서비스 미상, {} 로 대신 판단"],
  yes: ["yes", "있음"], no: ["no", "없음"], side: ["Side", "방향"], answer: ["Answer", "대답"], remove: ["Remove", "삭제"],
  check: ["Cross-check", "교차 확인"], checking: ["Cross-checking: atlas, registration, score…", "교차 확인 중: 아틀라스, 정합, 점수…"],
  need_mask: ["Segment the case first.", "먼저 분할하세요."],
  concordant: ["Concordant", "일치"], partly_supported: ["Partly supported", "부분적으로 뒷받침"], discordant: ["Discordant", "불일치"],
  indeterminate: ["Indeterminate", "판단 불가"], not_assessable: ["Not assessable", "평가 불가"],
  why: ["What each symptom says", "증상마다 말하는 것"], for: ["for the site", "위치를 지지"], against: ["against the site", "위치에 반대"],
  neutral: ["says little", "거의 말하지 않음"], report: ["Report", "보고서"], decide: ["Decision", "결정"], name: ["Your name", "이름"],
  reason: ["Reason", "이유"], accept: ["Accept", "승인"], amend: ["Amend", "수정"], reject: ["Reject", "거절"], decided: ["Decided: {}", "결정됨: {}"],
  amend_with: ["Amend with another mask", "다른 마스크로 수정"], amend_where: ["The corrected mask is", "수정된 마스크"], amend_file: ["a file", "파일"],
  amend_tag: ["the case's label {}", "증례의 라벨 {}"], amend_upload: ["File (.nii, .nii.gz, .nrrd)", "파일 (.nii, .nii.gz, .nrrd)"],
  amend_needs: ["Amend: choose the corrected mask.", "수정: 수정된 마스크를 고르세요."],
  onset: ["Onset", "시작"], sudden: ["sudden", "갑자기"], days: ["days", "며칠"], weeks: ["weeks", "몇 주"], months: ["months", "몇 달"], years: ["years", "몇 년"],
  hospitals: ["Hospitals", "병원"], invented: ["The hospitals shipped with MedSynth are invented.", "MedSynth에 들어 있는 병원은 가상입니다."],
  generator: ["Generator", "생성기"], make: ["Generate", "생성"], making: ["Generating…", "생성하는 중…"], no_weights: ["no weights on this server", "이 서버에 가중치가 없음"],
  no_rounds: ["No round yet.", "아직 라운드가 없습니다."], broken_off: ["A training was broken off, start it again:", "학습이 중단되었습니다. 다시 시작하세요:"], round: ["Round", "라운드"], labels: ["Labels", "라벨"], model_dice: ["Model Dice (validation)", "모델 Dice(검증)"],
  before: ["Dice before correction", "수정 전 Dice"], image: ["Input picture", "입력 그림"],
  download: ["Download {}", "내려받기 {}"], gallery: ["Made so far", "지금까지 만든 것"], course: ["Course, from the photograph onwards", "사진에서부터의 경과"],
  pen: ["Pen (E)", "펜 (E)"], palette: ["What the pen marks", "펜으로 표시할 것"], key: ["Key {}", "{} 키"], not_tumor: ["Not tumour", "종양 아님"], pen_size: ["Size", "크기"],
  correct: ["Correct (C)", "수정 (C)"], paint: ["Paint as drawn (P)", "그린 대로 칠하기 (P)"], undo: ["Undo", "되돌리기"], before_after: ["Before (X)", "이전 (X)"],
  versions: ["Labels of this case", "이 증례의 라벨"], load_label: ["Load a label…", "라벨 불러오기…"], no_label: ["No label kept yet", "저장된 라벨 없음"], label_tag: ["Label {}", "라벨 {}"],
  annotator: ["Your name", "이름"], save_version: ["Save version", "버전 저장"], version: ["Version {}", "버전 {}"], nobody: ["unnamed", "이름 없음"],
  correcting: ["Correcting; the first time in a case the network looks at it…", "수정하는 중, 증례마다 처음에는 신경망이 먼저 봅니다…"], changed: ["{} voxels changed", "복셀 {}개 변경"],
  painted: ["{} voxels painted", "복셀 {}개 칠함"], undone: ["Undone", "되돌렸습니다"], shown_before: ["Shown: the mask before", "이전 마스크를 보는 중"],
  saving: ["Saving…", "저장하는 중…"], saved: ["Saved as version {}", "버전 {}(으)로 저장됨"], strokes_open: ["Correct, paint or undo the strokes first.", "먼저 획을 수정, 칠하기, 되돌리기 하세요."],
  other_grid: ["The mask lies on another grid than this sequence: choose the sequence that was segmented.", "마스크와 이 시퀀스의 격자가 다릅니다. 분할한 시퀀스를 고르세요."],
  review: ["Review", "검토"], queue: ["Submitted labels", "제출된 라벨"], status: ["Status", "상태"], all: ["all", "전체"], waiting: ["waiting", "대기"], accepted: ["accepted", "승인됨"],
  sent_back: ["sent back", "돌려보냄"], previous: ["Previous (P)", "이전 (P)"], next: ["Next (N)", "다음 (N)"], queue_empty: ["Nothing here.", "항목이 없습니다."],
  note: ["Note for the annotator", "작업자에게 남길 말"], note_hint: ["what to change (needed to send back)", "고칠 점 (돌려보낼 때 필요)"], accept_key: ["Accept (A)", "승인 (A)"], send_back_key: ["Send back (R)", "돌려보내기 (R)"],
  compare: ["Compare versions", "버전 비교"], first_version: ["First", "첫째"], second_version: ["Second", "둘째"], decisions: ["Decisions", "결정 내역"],
  show_second: ["Second", "둘째"], show_first: ["First", "첫째"], show_difference: ["Difference", "차이"], region: ["Region", "영역"], dice: ["Dice", "Dice"], hd95: ["HD95 (mm)", "HD95 (mm)"],
  WT: ["Whole tumour", "전체 종양"], TC: ["Tumour core", "종양 중심부"], ET: ["Enhancing", "조영 증강"], only_first: ["only in the first", "첫째에만"], only_second: ["only in the second", "둘째에만"],
  other_label: ["another label", "다른 라벨"],
  mask_file: ["Mask instead (optional)", "마스크로 대신 (선택)"], ready: ["ready", "사용 가능"], experimental: ["experimental", "실험적"], by_chance: ["by chance", "무작위"], seed_hint: ["The same seed and conditions give the same result", "시드와 조건이 같으면 결과도 같습니다"],
  more_conditions: ["More conditions ({})", "조건 더 보기 ({})"], same_seed: ["Same seed again", "같은 시드로 다시"], vary: ["A row that varies it", "이 조건만 바꿔 나란히"],
  keep_case: ["Keep as a case", "증례로 저장"], kept_as: ["Kept as", "저장됨:"], audit: ["Copy of a training image?", "학습 영상의 복제인가?"], audit_hint: ["How near the result is to the images that the weights learned from", "결과가 학습 영상에 얼마나 가까운지"],
  audit_clear: ["no", "아니요"], audit_flagged: ["too near", "너무 가까움"], audit_unavailable: ["cannot be told", "알 수 없음"], audit_not_applicable: ["nothing was learned", "학습 없음"],
  open_case: ["Open…", "열기…"], open_title: ["Open a study", "검사 열기"], open_hint: ["A DICOM folder, NIfTI or NRRD files (FLAIR, T1, T1ce, T2, a label), or a photograph. They are stored on this server.",
    "DICOM 폴더, NIfTI 또는 NRRD 파일(FLAIR, T1, T1ce, T2, 라벨), 사진을 열 수 있습니다. 이 서버에 저장됩니다."],
  pick_files: ["Choose files…", "파일 선택…"], pick_folder: ["Choose a folder…", "폴더 선택…"], drop_hint: ["or drag files or a DICOM folder onto this page", "또는 파일이나 DICOM 폴더를 이 페이지에 끌어다 놓으세요"], drop_here: ["Drop to open", "놓으면 열립니다"],
  step_open: ["Open a study, or choose a case on the left", "검사를 열거나 왼쪽에서 증례를 고르세요"], step_segment: ["Segment the tumour", "종양을 분할하세요"], step_save: ["Correct it with the pen and save a version", "펜으로 수정하고 버전을 저장하세요"],
  upload: ["Upload", "업로드"], close: ["Close", "닫기"], case: ["Case", "증례"], dicom_study: ["DICOM study", "DICOM 검사"], case_name: ["Name", "이름"], dicom_files: ["{} DICOM images; the server sorts them by series", "DICOM 영상 {}개, 서버가 시리즈별로 분류합니다"],
  found_cases: ["To open: {}", "열 항목: {}개"], passed_over: ["other files, not sent: {}", "보내지 않는 다른 파일: {}개"], nothing_to_open: ["Nothing here can be opened. Taken are: {}", "열 수 있는 것이 없습니다. 가능한 형식: {}"],
  role_label: ["label map", "라벨 맵"], role_alone: ["one volume or picture", "볼륨 또는 그림 하나"], role_left_out: ["leave out", "제외"], role_twice: ["Two files are {}: choose one.", "{} 파일이 두 개입니다. 하나만 고르세요."],
  uploaded: ["Uploading: {}", "업로드 중: {}"], server_reads: ["The server reads it…", "서버가 읽는 중…"], opened: ["opened", "열림"], missing: ["opened; missing {}", "열림, 없는 시퀀스 {}"], not_taken: ["not taken: {}", "제외됨: {}"],
  some_refused: ["Not all could be opened:", "일부를 열 수 없습니다:"], no_answer: ["The server does not answer.", "서버가 응답하지 않습니다."], stopped_upload: ["The upload was stopped.", "업로드를 중단했습니다."],
  next_case: ["Next case for me", "다음 증례"], next_go: ["Give me a case", "증례 받기"], strategy: ["Which comes first", "고르는 방법"], no_next: ["No case is left to annotate.", "라벨을 만들 증례가 없습니다."], next_is: ["Yours: {}", "받은 증례: {}"],
  strategy_uncertain_and_diverse: ["uncertain and unlike the labelled", "불확실하고 기존 라벨과 다른 증례"], strategy_most_uncertain: ["most uncertain", "가장 불확실한 증례"], strategy_most_diverse: ["least like the labelled", "기존 라벨과 가장 다른 증례"],
  strategy_discordant_first: ["symptoms do not fit the mask", "증상과 마스크가 맞지 않는 증례"], strategy_random: ["random", "무작위"], in_hand: ["In hand", "작업 중"], until: ["until {}", "{}까지"], no_leases: ["Nobody holds a case.", "작업 중인 증례가 없습니다."],
  to_score: ["labels to score: {}", "채점할 라벨: {}개"], to_assess: ["looked at by the network: {}", "신경망이 본 증례: {}"], training: ["Training", "학습"], epochs: ["Epochs", "에포크"], train: ["Train", "학습 시작"], stop: ["Stop", "중지"],
  state: ["State", "상태"], train_starts: ["starting…", "시작하는 중…"], epoch: ["Epoch", "에포크"], best_dice: ["Best Dice", "최고 Dice"], eta: ["Time left", "남은 시간"], last_training: ["Last training", "마지막 학습"], outcome: ["Outcome", "결과"],
  task_DONE: ["done", "완료"], task_ERROR: ["failed", "실패"], task_STOPPED: ["stopped", "중지됨"], broken_off_short: ["broken off", "중단됨"], published: ["better: it is served", "더 나음, 사용 중"], not_published: ["no better: the earlier one stays", "더 낫지 않아 이전 모델 유지"],
  admin_only: ["Training and roll-back need the role admin.", "학습과 되돌리기에는 관리자 권한이 필요합니다."], no_validation: ["No validation case yet: no Dice to show.", "검증 증례가 없어 Dice를 표시할 수 없습니다."],
  submitted: ["Submitted", "제출"], minutes: ["Minutes a case", "증례당 분"], models: ["Models", "모델"], no_models: ["No model on record yet.", "기록된 모델이 없습니다."], model: ["Model", "모델"], made: ["Made", "생성일"], origin: ["From", "출처"],
  origin_training: ["training", "학습"], origin_shipped: ["shipped", "기본 제공"], origin_uploaded: ["uploaded", "업로드"], served: ["served", "사용 중"], serve_again: ["Serve again", "다시 사용"], not_kept: ["not kept", "보관되지 않음"], restored: ["Served again: {}", "다시 사용하는 모델: {}"],
  simulated: ["A simulation: nobody's lesion was seen to do this.", "시뮬레이션입니다. 실제 환자의 경과가 아닙니다."],
};
let language = localStorage.getItem("medsynth-language") || (navigator.language.startsWith("ko") ? "ko" : "en");
export const currentLanguage = () => language;
export function word(key, value = "") {
  const pair = WORDS[key];
  return pair ? pair[language === "ko" ? 1 : 0].replace("{}", value) : key;
}
export function speak(chosen) {
  language = chosen;
  localStorage.setItem("medsynth-language", chosen);
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", word(element.dataset.label));
  for (const element of document.querySelectorAll("[data-placeholder]")) {
    element.placeholder = word(element.dataset.placeholder);
    element.setAttribute("aria-label", word(element.dataset.placeholder));
  }
}
