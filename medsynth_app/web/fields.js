// Names of the generators' conditions and of their values, in English and Korean.
import { currentLanguage } from "./words.js";

const NAMES = {
  seed: ["Seed", "시드"], save: ["Keep as a case", "증례로 저장"], generator: ["Generator", "생성기"], task: ["Task", "작업"],
  host: ["Into the head of case", "이 증례의 머리에"], age: ["Age", "나이"], sex: ["Sex", "성별"], side: ["Side", "방향"], site: ["Site (region code)", "위치 (영역 코드)"], grade: ["Grade", "등급"],
  seed_point_mm: ["Starting point (mm)", "시작점 (mm)"], volume_ml: ["Volume (ml)", "부피 (ml)"],
  enhancing_fraction: ["Share that enhances", "조영 증강 비율"], necrotic_fraction: ["Share that is necrotic", "괴사 비율"],
  edema_extent: ["Extent of oedema", "부종 범위"], edema_density: ["Density of oedema", "부종 밀도"], mass_effect: ["Mass effect", "종괴 효과"],
  contrast_agent: ["Contrast agent", "조영제"], contrast_uptake: ["Contrast uptake", "조영제 흡수"], tissue_variation: ["Variation of tissue", "조직 변이"],
  field_strength_t: ["Field strength (T)", "자기장 세기 (T)"], sequences: ["Timing of the sequences", "시퀀스 시간"], bias_field: ["Bias field", "편향장"],
  noise: ["Noise", "잡음"], slice_thickness_mm: ["Slice thickness (mm)", "절편 두께 (mm)"], in_plane_resolution_mm: ["In-plane resolution (mm)", "면내 해상도 (mm)"],
  spacing_mm: ["Voxel size (mm)", "복셀 크기 (mm)"], volume_type: ["Volume", "볼륨 종류"], modality: ["Modality", "영상 종류"], pathology: ["Pathology", "병리"],
  severity: ["Severity, 0 to 1", "중증도, 0~1"], lesion_position_mm: ["Position of the lesion (mm)", "병변 위치 (mm)"], lesion_position: ["Position of the lesion", "병변 위치"],
  lesion_size_mm: ["Size of the lesion (mm)", "병변 크기 (mm)"], lesion_size: ["Size of the lesion", "병변 크기"], region: ["Region", "부위"],
  sequence: ["Sequence", "시퀀스"], variety: ["Variety", "다양성"], grain: ["Grain", "거칠기"], steps: ["Steps", "단계 수"], size: ["Size (pixels)", "크기 (픽셀)"],
  truncation: ["Truncation", "절단"], lesion_class: ["Kind of lesion", "병변 종류"], framing: ["Framing", "자르기"],
  refinement_steps: ["Refinement steps", "정밀화 단계"], picture: ["Picture", "그림"], direction: ["Direction", "방향 벡터"],
  alpha_from: ["Alpha from", "알파 시작"], alpha_to: ["Alpha to", "알파 끝"], animation: ["Animation", "움직임"],
  sampler: ["Sampler", "표본 추출기"], scheduler: ["Scheduler", "스케줄러"], guidance: ["Guidance", "유도 강도"], image: ["Case", "증례"], label_names: ["Labels", "라벨"], conditions: ["Conditions", "조건"],
  synthetic: ["Mark of synthetic data", "합성 표시"], memorisation: ["Nearness to training images", "학습 영상과의 거리"], latencies: ["Seconds", "소요 시간(초)"],
  notice: ["Notice", "안내"], volumes_ml: ["Volumes (ml)", "부피 (ml)"], warnings: ["Warnings", "경고"], squared_error: ["Squared error", "제곱 오차"],
  perceptual_distance: ["Perceptual distance", "지각 거리"], simulation: ["What this is", "설명"], alpha: ["Alpha", "알파"],
  melanoma_probability: ["Probability of melanoma", "흑색종 확률"], perceptual: ["Perceptual distance", "지각 거리"], lesion_area: ["Lesion, share of the picture", "병변 면적 비율"],
};
const VALUES = {
  ct_chest: ["CT chest", "흉부 CT"], ct_abdomen: ["CT abdomen", "복부 CT"], ct_head: ["CT head", "두부 CT"], mri_brain: ["MRI brain", "뇌 MRI"], mri_heart: ["MRI heart", "심장 MRI"],
  mri_spine: ["MRI spine", "척추 MRI"], chest_xray: ["Chest radiograph", "흉부 X선"], ct: ["CT of the head", "두부 CT"], mri: ["MRI of the brain", "뇌 MRI"], mammography: ["Mammogram", "유방 촬영"],
  ultrasound: ["Breast ultrasound", "유방 초음파"], retina: ["Fundus", "안저"], female: ["female", "여성"], male: ["male", "남성"], normal: ["normal", "정상"], auto: ["automatic", "자동"],
  any: ["any", "무관"], nevus: ["nevus", "모반"], melanoma: ["melanoma", "흑색종"], left: ["left", "왼쪽"], right: ["right", "오른쪽"], true: ["yes", "예"], false: ["no", "아니요"],
  tumor_case_synthesis: ["Brain tumour case", "뇌종양 증례"], volume_synthesis: ["Volume", "볼륨"], image_synthesis: ["Picture", "영상"], skin_lesion_synthesis: ["Skin lesion", "피부 병변"],
  skin_lesion_inversion: ["Skin lesion from a photograph", "사진 속 피부 병변 찾기"], skin_lesion_progression: ["Course of a skin lesion", "피부 병변의 경과"],
  nodule: ["nodule", "결절"], pneumonia: ["pneumonia", "폐렴"], haemorrhage: ["haemorrhage", "출혈"], infarct: ["infarct", "경색"], tumour: ["tumour", "종양"],
  mass: ["mass", "종괴"], benign: ["benign", "양성"], malignant: ["malignant", "악성"], none: ["none", "없음"],
  phantom: ["phantom", "팬텀"], learned: ["learned look", "학습된 모습"], growth_model: ["growth model", "성장 모델"], diffusion: ["diffusion", "확산"], vae_gan: ["VAE-GAN", "VAE-GAN"], stylegan2: ["StyleGAN2", "StyleGAN2"],
};
const choose = (pair, otherwise) => (pair ? pair[currentLanguage() === "ko" ? 1 : 0] : otherwise);
export const fieldName = (name) => choose(NAMES[name], String(name).replaceAll("_", " "));
export const valueName = (value) => choose(VALUES[String(value)], String(value).replaceAll("_", " "));
