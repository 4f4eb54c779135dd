import { saysModelIsGone } from './failure-texts.ts';
import { plainMessage } from './plain-message.ts';

/** Why a video has no file, for its owner. The codes are rows of the error catalogue. */
export interface FailureReason {
  readonly code: 'provider_rejected' | 'content_policy' | 'model_unavailable' | 'generation_failed';
  readonly message: string;
}

const policyCodes: ReadonlySet<number> = new Set([1300, 1301]);
const policyWords =
  /risk control|sensitive|content (safety|policy|security)|platform policy|violat\w+ .{0,40}(policy|guideline)|moderation|prohibited|inappropriate/i;

/** The reason for a create that Kling refused for good (`fail_video`). */
export function describeFailure(failure: { readonly code: number | null; readonly message: string }): FailureReason {
  const { code } = failure;
  const said = quote(failure.message, code);
  if ((code !== null && policyCodes.has(code)) || policyWords.test(failure.message)) {
    return {
      code: 'content_policy',
      message: `Kling refused the content${said}. Change the prompt before sending it again.`,
    };
  }
  if (code === 1203 || saysModelIsGone(failure.message)) {
    return { code: 'model_unavailable', message: `Kling does not offer this model${said}. Choose another model.` };
  }
  return {
    code: 'provider_rejected',
    message: `Kling refused the request${said}. Change the request before sending it again.`,
  };
}

/** The reason for a task that Kling accepted and then reported as failed. @param message Kling's own words */
export function describeTaskFailure(message: string): FailureReason {
  const said = quote(message, null);
  if (policyWords.test(message)) {
    return {
      code: 'content_policy',
      message: `Kling refused the content${said}. Change the prompt before sending it again.`,
    };
  }
  if (saysModelIsGone(message)) {
    return { code: 'model_unavailable', message: `Kling does not offer this model${said}. Choose another model.` };
  }
  return { code: 'generation_failed', message: `Kling could not make the video${said || ': it gave no reason'}.` };
}

function quote(message: string, code: number | null): string {
  const words = plainMessage(message).replace(/[.\s]+$/, '');
  if (words === '') return code === null ? '' : ` (code ${code})`;
  return code === null ? `: "${words}"` : `: "${words}" (code ${code})`;
}
