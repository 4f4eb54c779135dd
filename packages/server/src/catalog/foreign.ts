/**
 * What people know from elsewhere: inputs and models of Kling's other products, and the names that Kling itself, its
 * SDKs and other video APIs give to fields of ours.
 */

const imageToVideo = 'image-to-video';
const omniVideo = 'omni video (references and editing)';
const videoInput = 'video input (extend, edit, lip-sync)';
const elements = 'elements';
const voices = 'voice control';
const motion = 'motion control';
const motionBrush = 'the motion brush (image-to-video)';

/** Field -> the product that it belongs to. */
const productOfField: ReadonlyMap<string, string> = new Map([
  ...each(imageToVideo, 'image', 'image_url', 'image_urls', 'images', 'image_list', 'image_tail', 'input_image'),
  ...each(
    imageToVideo,
    'input_reference',
    'start_image',
    'end_image',
    'first_frame',
    'last_frame',
    'first_frame_image',
  ),
  ...each(imageToVideo, 'start_frame', 'end_frame', 'tail_image', 'tail_image_url'),
  ...each(motionBrush, 'static_mask', 'dynamic_masks'),
  ...each(omniVideo, 'contents', 'refer_image', 'reference_images', 'refer_type', 'feature_video', 'base_video'),
  ...each(omniVideo, 'keep_original_sound'),
  ...each(videoInput, 'video', 'videos', 'video_id', 'video_url', 'video_list', 'audio_url', 'audio_id', 'sound_file'),
  ...each(elements, 'element', 'elements', 'element_list', 'element_id', 'element_ids'),
  ...each(voices, 'voice', 'voices', 'voice_id', 'voice_ids', 'voice_list', 'voice_language'),
  ...each(motion, 'character_orientation'),
  ...each('effects', 'effect_scene'),
]);

/** Model -> what it makes instead of text-to-video. */
const productOfModel: readonly (readonly [RegExp, string])[] = [
  [/^kling-(v?3(?:[.-]0)?-omni|video-o1|o1)$/, omniVideo],
  [/^kling-v?(1[.-]5|2[.-]1)(-i2v)?$/, imageToVideo],
  [/^kling-.*-i2v$/, imageToVideo],
  [/^kling-.*motion-control$/, motion],
  [/^kling-(image|v2-new)/, 'images'],
];

const flat = 'Dailies takes flat fields: put what it holds at the top of the body';
const useMode = 'use `mode`: "std" is 720p, "pro" 1080p (720p for kling-v1), "4k" 4k';
const useMultiShot = 'use `shots` (a list of {prompt, duration}), or `multi_shot`: "intelligence"';

/** Field -> what to do instead, as the end of a sentence. */
const instead: ReadonlyMap<string, string> = new Map([
  ...each('use `model`', 'model_name', 'model_id', 'engine'),
  ...each('use `duration` (seconds)', 'seconds', 'length', 'duration_seconds', 'video_length'),
  ...each('use `aspect_ratio` for the shape and `mode` for the resolution', 'size', 'width', 'height', 'dimensions'),
  ...each('use `aspect_ratio`', 'ratio', 'ar', 'orientation'),
  ...each(useMode, 'resolution', 'quality', 'tier'),
  ...each('send one request for each video', 'n', 'count', 'num_videos', 'batch_size', 'samples'),
  ...each('use `webhook_url`, which Dailies calls itself; Kling calls only Dailies', 'callback_url', 'callback'),
  ...each('use `webhook_url`', 'webhook', 'webhooks', 'notify_url', 'notify_hook', 'hook_url'),
  ...each(
    'Dailies gives Kling an id of its own; keep yours in `metadata`, and repeat safely with an Idempotency-Key header',
    'external_task_id',
    'external_id',
  ),
  ...each('keep it in `metadata`', 'tags', 'labels', 'meta', 'user', 'user_id', 'title', 'name'),
  ...each('send it as the header `Idempotency-Key`', 'idempotency_key', 'request_id', 'client_token'),
  ...each('use `sound`', 'audio', 'generate_audio', 'enable_audio', 'with_audio', 'generate_sound'),
  ...each('use `negative_prompt`', 'negative', 'undesired'),
  ...each('use `cfg_scale` (Kling 1.x only)', 'cfg', 'guidance_scale', 'guidance'),
  ...each(useMultiShot, 'shot_type', 'multi_prompt', 'storyboard'),
  ...each('use `camera_control`', 'camera', 'camera_motion', 'camera_movement'),
  ...each('use `watermark`: true or false', 'watermark_info', 'watermark_enabled', 'add_watermark'),
  ...each('use `prompt`', 'text', 'input', 'description', 'caption', 'query'),
  ...each('use `start_before`', 'deadline', 'expires_at', 'ttl', 'timeout'),
  ...each(flat, 'settings', 'options', 'parameters', 'params', 'config'),
  ...each('Kling takes no seed: leave it out', 'seed'),
  ...each('Kling decides it: leave it out', 'fps', 'frame_rate', 'frames', 'num_frames', 'format', 'output_format'),
  ...each('follow `links.events` of the answer', 'stream'),
]);

/** The product that a field is an input of; undefined for any other name. Case and camelCase do not matter. */
export function findProductOfField(field: string): string | undefined {
  return productOfField.get(snakeCase(field));
}

/** What a model of another product makes; undefined for any other name. */
export function findProductOfModel(model: string): string | undefined {
  const name = model
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_]+/g, '-');
  return productOfModel.find(([pattern]) => pattern.test(name))?.[1];
}

/** What to use instead of a field that other APIs have; undefined when nothing is known about it. */
export function findInstead(field: string): string | undefined {
  return instead.get(snakeCase(field));
}

function snakeCase(name: string): string {
  return name.length > 40
    ? name
    : name
        .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
        .replaceAll('-', '_')
        .toLowerCase();
}

function each(value: string, ...names: readonly string[]): readonly (readonly [string, string])[] {
  return names.map((name) => [name, value] as const);
}
