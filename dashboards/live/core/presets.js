/** Sensible beginnings for a plan (after the project's domain facts); the therapist changes what the client needs. */

const NMES = { modality: "nmes", body_site: "thigh", electrode_area_cm2: 50, ramp_up_s: 1.5, ramp_down_s: 1 };
const WB_EMS = { modality: "wb_ems", body_site: "whole_body", electrode_area_cm2: 100, ramp_up_s: 1, ramp_down_s: 1 };

export const PRESETS = {
  gentle: { ...NMES, frequency_hz: 35, pulse_width_us: 250, setting_ma_max: 30, duration_s: 1200, on_s: 6, off_s: 18 },
  strength: {
    ...NMES,
    frequency_hz: 50,
    pulse_width_us: 400,
    setting_ma_max: 60,
    duration_s: 1200,
    on_s: 10,
    off_s: 50,
  },
  endurance: {
    ...NMES,
    frequency_hz: 30,
    pulse_width_us: 300,
    setting_ma_max: 40,
    duration_s: 1800,
    on_s: 8,
    off_s: 12,
  },
  whole_first: {
    ...WB_EMS,
    frequency_hz: 85,
    pulse_width_us: 350,
    setting_ma_max: 30,
    duration_s: 720,
    on_s: 4,
    off_s: 4,
  },
  whole: { ...WB_EMS, frequency_hz: 85, pulse_width_us: 350, setting_ma_max: 40, duration_s: 1200, on_s: 4, off_s: 4 },
};

/** The plan's numbers as they are asked for: name, unit, step, and how many of the wire's unit one of them is. */
export const NUMBERS = [
  ["setting_ma_max", "mA", 1, 1],
  ["duration_s", "min", 1, 60],
  ["frequency_hz", "Hz", 1, 1],
  ["pulse_width_us", "µs", 10, 1],
  ["electrode_area_cm2", "cm²", 1, 1],
  ["on_s", "s", 0.5, 1],
  ["off_s", "s", 0.5, 1],
  ["ramp_up_s", "s", 0.1, 1],
  ["ramp_down_s", "s", 0.1, 1],
];

export const MODALITIES = ["nmes", "wb_ems"];
export const SITES = [
  "thigh",
  "calf",
  "gluteal",
  "lower_back",
  "abdomen",
  "shoulder",
  "upper_arm",
  "forearm",
  "hand",
  "foot",
  "whole_body",
];
/** No override for these: they are listed so that whoever looks for one reads that. */
export const SITES_EXCLUDED = [
  "eyes",
  "face_sinuses",
  "mouth",
  "front_of_neck",
  "across_head",
  "across_heart",
  "reproductive_organs",
  "wound_or_damaged_skin",
];
export const ABSOLUTE = [
  "implanted_device",
  "pregnancy",
  "malignancy_at_site",
  "deep_vein_thrombosis",
  "high_frequency_nearby",
];
export const RELATIVE = [
  "mental_impairment",
  "epilepsy",
  "cardiac_condition",
  "impaired_sensation",
  "bleeding_tendency",
  "recent_surgery_or_fracture",
  "hernia",
  "undiagnosed_pain",
  "malignancy_elsewhere",
];
export const RULE_SET = "ems-2026-1";
