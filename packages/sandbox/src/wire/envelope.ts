import { randomUUID } from 'node:crypto';
import type { Refusal } from './codes.ts';

/** As the live service labels its answers. */
export const jsonType = 'application/json;charset=utf-8';

/** The success envelope. The message is the literal `SUCCEED` even when the task asked for has failed. */
export function envelope(data: unknown): string {
  return JSON.stringify({ code: 0, message: 'SUCCEED', request_id: randomUUID(), data });
}

/** The error envelope: no `data`. */
export function refusalBody(refusal: Refusal): string {
  return JSON.stringify({ code: refusal.code, message: refusal.message, request_id: randomUUID() });
}

/** What the gateway answers for a path it does not know: Spring's default error body, not Kling's envelope. */
export function springNotFound(path: string, nowMs: number): string {
  return JSON.stringify({
    timestamp: new Date(nowMs).toISOString().replace('Z', '+00:00'),
    status: 404,
    error: 'Not Found',
    message: 'No message available',
    path,
  });
}

/** What a proxy in front of the service answers when it cannot reach it. */
export const badGatewayPage =
  '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n' +
  '<hr><center>openresty</center>\r\n</body>\r\n</html>\r\n';
