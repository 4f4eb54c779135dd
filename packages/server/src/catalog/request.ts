/** The products of Kling that Dailies makes. Schema, attempts and prices carry the product from the first row on. */
export const products = ['text2video'] as const;
export type Product = (typeof products)[number];

export type Mode = 'std' | 'pro' | '4k';
export type AspectRatio = '16:9' | '9:16' | '1:1';

/** What the wire calls the two API generations of Kling (kling-api.md 0). */
export type Generation = 'legacy' | 'standard';

/** One shot of a customised multi-shot video; shots run in the order of the list. */
export interface Shot {
  readonly prompt: string;
  /** Whole seconds, at least 1; all shots together are the video's duration. */
  readonly duration: number;
}

export interface CameraControl {
  readonly type: 'simple' | 'down_back' | 'forward_up' | 'right_turn_forward' | 'left_turn_forward';
  /** With `simple` only: exactly one axis is not zero, from -10 to 10. */
  readonly config: Readonly<
    Partial<Record<'horizontal' | 'vertical' | 'pan' | 'tilt' | 'roll' | 'zoom', number>>
  > | null;
}

/**
 * A validated request with every default filled in: what is priced, stored, shown and sent. Fields that the model does
 * not take are null. Plain JSON.
 */
export interface VideoRequest {
  readonly product: Product;
  /** Canonical id: the new-standard id (`kling-2.6`), or the legacy name where there is no other (`kling-v2-master`). */
  readonly model: string;
  /** Null for a model without modes. */
  readonly mode: Mode | null;
  /** Whole seconds. */
  readonly duration: number;
  readonly aspect_ratio: AspectRatio;
  readonly sound: boolean;
  /** Null only for multi-shot `customize`, where the shots carry the words. */
  readonly prompt: string | null;
  readonly negative_prompt: string | null;
  readonly cfg_scale: number | null;
  readonly multi_shot: 'customize' | 'intelligence' | null;
  readonly shots: readonly Shot[] | null;
  readonly camera_control: CameraControl | null;
  readonly watermark: boolean;
}

/** Something the user should know although the request is accepted. */
export interface Warning {
  readonly code: 'model_retired' | 'mode_ignored';
  readonly message: string;
}
