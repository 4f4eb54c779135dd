/** Kling's service codes with their HTTP status and text (Kling error-code page; texts as observed where they were). */
export const codes = {
  1000: [401, 'Authentication failed'],
  1001: [401, 'Authorization is empty'],
  1002: [401, 'Authorization is invalid'],
  1003: [401, 'Authorization is not valid yet'],
  1004: [401, 'Authorization has expired'],
  1100: [429, 'Account is in an abnormal state'],
  1101: [429, 'Account is in arrears'],
  1102: [429, 'Account balance not enough'],
  1103: [403, 'No permission to access the requested API or model'],
  1200: [400, 'Invalid request parameters'],
  1201: [400, 'Invalid parameter value'],
  1202: [404, 'The requested method is not supported'],
  1203: [404, 'The requested resource does not exist'],
  1300: [400, 'Request blocked by platform policy'],
  1301: [400, 'Content safety policy triggered'],
  1302: [429, 'Too many requests'],
  1303: [429, 'parallel task over resource pack limit'],
  1304: [429, 'IP is not in the whitelist'],
  5000: [500, 'Internal server error'],
  5001: [503, 'Service is under maintenance'],
  5002: [504, 'Internal timeout'],
} as const satisfies Record<number, readonly [httpStatus: number, message: string]>;

export type ServiceCode = keyof typeof codes;

/** Kling says no, in its envelope. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: ServiceCode;
  readonly httpStatus: number;

  constructor(code: ServiceCode, message: string = codes[code][1]) {
    super(message);
    this.code = code;
    this.httpStatus = codes[code][0];
  }
}

/** Something between client and service says no, or nothing at all: an HTML page, or a connection that is cut. */
export class GatewayFault extends Error {
  override readonly name = 'GatewayFault';
  readonly kind: 'html_502' | 'reset';

  constructor(kind: 'html_502' | 'reset') {
    super(kind);
    this.kind = kind;
  }
}
