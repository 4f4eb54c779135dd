/**
 * A server for tests that speaks what the official client of Google Cloud Storage needs of it: buckets, resumable uploads, media
 * with ranges, listings in pages, preconditions, checksums and V4 signed links, whose signatures are checked. Google has none.
 */
import { createHash, generateKeyPairSync, randomUUID, verify, type KeyObject } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { tempFolder } from './spawn.ts';

export interface GcsServer {
  readonly endpoint: string;
  /** A service account whose links the server honours, as GOOGLE_APPLICATION_CREDENTIALS names one. */
  readonly credentialsFile: string;
  /** A new, empty bucket. @returns its name */
  makeBucket(): string;
  /** From now on nobody may write there; everything stays readable. */
  denyWrites(bucket: string): void;
  allowWrites(bucket: string): void;
  /** Uploads that were begun and neither completed nor canceled. */
  unfinishedUploads(bucket: string): string[];
  /** Lets the next upload into the bucket end with other bytes than were sent. */
  spoilNext(bucket: string): void;
  stop(): Promise<void>;
}

interface Stored {
  readonly data: Buffer;
  readonly meta: Readonly<Record<string, string>>;
}

interface Bucket {
  readonly objects: Map<string, Stored>;
  readonly uploads: Map<
    string,
    { readonly name: string; readonly contentType: string; readonly query: URLSearchParams }
  >;
  denied: boolean;
  spoiled: boolean;
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly body: Buffer;
}

/** An answer that refuses, as the JSON API words it. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function startGcs(): Promise<GcsServer> {
  const folder = await tempFolder('gcs');
  const account = makeAccount();
  const credentialsFile = join(folder.path, 'account.json');
  await writeFile(credentialsFile, JSON.stringify(account.file));
  const buckets = new Map<string, Bucket>();
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => {
      if (response.headersSent || !request.complete) return void response.destroy();
      const code = error instanceof Refusal ? error.status : 500;
      const message = error instanceof Error ? error.message : String(error);
      sendJson(response, { error: { code, message, errors: [{ reason: message, message }] } }, code);
    });
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer); // no encoding is set
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
    route({ request, response, url, body: Buffer.concat(chunks) }, buckets, account.publicKey);
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    endpoint: `http://127.0.0.1:${port}`,
    credentialsFile,
    makeBucket() {
      const name = `dailies-${randomUUID()}`;
      buckets.set(name, { objects: new Map(), uploads: new Map(), denied: false, spoiled: false });
      return name;
    },
    denyWrites: (name) => void (bucketOf(buckets, name).denied = true),
    allowWrites: (name) => void (bucketOf(buckets, name).denied = false),
    unfinishedUploads: (name) => [...bucketOf(buckets, name).uploads.values()].map((upload) => upload.name),
    spoilNext: (name) => void (bucketOf(buckets, name).spoiled = true),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await folder.remove();
    },
  };
}

function makeAccount() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const file = {
    type: 'service_account',
    project_id: 'tests',
    private_key_id: 'tests',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    client_email: 'dailies@tests.example',
    client_id: '1',
    token_uri: 'https://oauth2.example/token',
  };
  return { publicKey, file };
}

function route(call: Call, buckets: Map<string, Bucket>, publicKey: KeyObject): void {
  const { response, url, request } = call;
  const path = url.pathname.replace(/^\/(upload\/|download\/)?storage\/v1/, '');
  const [, kind, bucketName = '', what, ...rest] = path.split('/').map(decodeURIComponent);
  if (url.searchParams.has('X-Goog-Signature')) {
    checkSignature(call, publicKey);
    const [, name = '', ...key] = url.pathname.split('/').map(decodeURIComponent);
    return sendMedia(call, objectOf(bucketOf(buckets, name), key.join('/')));
  }
  if (kind !== 'b') throw new Refusal(404, 'Not Found');
  const bucket = bucketOf(buckets, bucketName);
  if (what === undefined) return sendJson(response, { kind: 'storage#bucket', id: bucketName, name: bucketName });
  if (rest.length === 0) {
    if (request.method === 'GET') return sendList(call, bucket);
    return receiveUpload(call, bucket, bucketName);
  }
  const name = rest.join('/');
  const object = objectOf(bucket, name);
  if (request.method === 'DELETE') {
    checkGeneration(url.searchParams, object);
    bucket.objects.delete(name);
    return void response.writeHead(204).end();
  }
  if (url.searchParams.get('alt') === 'media') return sendMedia(call, object);
  sendJson(response, object.meta);
}

function bucketOf(buckets: Map<string, Bucket>, name: string): Bucket {
  const bucket = buckets.get(name);
  if (!bucket) throw new Refusal(404, 'The specified bucket does not exist.');
  return bucket;
}

function objectOf(bucket: Bucket, name: string): Stored {
  const object = bucket.objects.get(name);
  if (!object) throw new Refusal(404, `No such object: ${name}`);
  return object;
}

function checkGeneration(query: URLSearchParams, current: Stored | undefined): void {
  const wanted = query.get('ifGenerationMatch');
  if (wanted !== null && wanted !== (current?.meta['generation'] ?? '0')) throw new Refusal(412, 'conditionNotMet');
}

/** Of a resumable upload: its begin, its only piece, or its end before that. */
function receiveUpload({ request, response, url, body }: Call, bucket: Bucket, bucketName: string): void {
  const query = url.searchParams;
  if (query.get('uploadType') !== 'resumable') throw new Refusal(400, 'only resumable uploads are played here');
  if (bucket.denied) throw new Refusal(403, 'does not have storage.objects.create access');
  const id = query.get('upload_id');
  if (id === null) {
    const name = query.get('name') ?? '';
    checkGeneration(query, bucket.objects.get(name));
    const contentType = single(request.headers['x-upload-content-type']) ?? 'application/octet-stream';
    const fresh = randomUUID();
    bucket.uploads.set(fresh, { name, contentType, query });
    const session = new URL(`?uploadType=resumable&upload_id=${fresh}`, url);
    return void response.writeHead(200, { location: session.href }).end();
  }
  const upload = bucket.uploads.get(id);
  if (!upload) throw new Refusal(410, 'the session has ended');
  bucket.uploads.delete(id);
  if (request.method === 'DELETE') return void response.writeHead(499).end();
  checkGeneration(upload.query, bucket.objects.get(upload.name));
  const data = bucket.spoiled ? Buffer.from(body.map((byte) => byte ^ 1)) : body;
  bucket.spoiled = false;
  const stored = describe(bucketName, upload.name, upload.contentType, data);
  bucket.objects.set(upload.name, stored);
  sendJson(response, stored.meta);
}

let generations = 1_700_000_000_000_000;

function describe(bucket: string, name: string, contentType: string, data: Buffer): Stored {
  const generation = String(++generations);
  const meta = {
    kind: 'storage#object',
    id: `${bucket}/${name}/${generation}`,
    name,
    bucket,
    contentType,
    generation,
    metageneration: '1',
    storageClass: 'STANDARD',
    size: String(data.length),
    md5Hash: createHash('md5').update(data).digest('base64'),
    crc32c: crc32c(data),
    etag: Buffer.from(generation).toString('base64'),
    timeCreated: new Date().toISOString(),
  };
  return { data, meta };
}

function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sendList({ response, url }: Call, bucket: Bucket): void {
  const query = url.searchParams;
  const prefix = query.get('prefix') ?? '';
  const names = [...bucket.objects.keys()].filter((name) => name.startsWith(prefix)).sort();
  const start = Number(query.get('pageToken') ?? 0);
  const end = start + Number(query.get('maxResults') ?? 1_000);
  const items = names.slice(start, end).map((name) => bucket.objects.get(name)?.meta);
  sendJson(response, {
    kind: 'storage#objects',
    items,
    ...(end < names.length ? { nextPageToken: String(end) } : {}),
  });
}

function sendMedia({ request, response, url }: Call, { data, meta }: Stored): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  const end = range?.[2] ? Math.min(Number(range[2]), data.length - 1) : data.length - 1;
  if (range && start >= data.length) throw new Refusal(416, 'requestedRangeNotSatisfiable');
  const disposition = url.searchParams.get('response-content-disposition');
  response.writeHead(range ? 206 : 200, {
    'content-type': meta['contentType'],
    'content-length': end - start + 1,
    'x-goog-hash': `crc32c=${meta['crc32c']},md5=${meta['md5Hash']}`,
    'x-goog-generation': meta['generation'],
    'x-goog-stored-content-encoding': 'identity',
    etag: `"${meta['etag']}"`,
    'accept-ranges': 'bytes',
    ...(range ? { 'content-range': `bytes ${start}-${end}/${data.length}` } : {}),
    ...(disposition === null ? {} : { 'content-disposition': disposition }),
  });
  response.end(request.method === 'HEAD' ? undefined : data.subarray(start, end + 1));
}

/** Google's published scheme, GOOG4-RSA-SHA256. The client signs the host's name without its port. */
function checkSignature({ request, url }: Call, publicKey: KeyObject): void {
  const query = url.searchParams;
  const date = query.get('X-Goog-Date') ?? '';
  const begun = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (Date.now() > begun + Number(query.get('X-Goog-Expires')) * 1_000) throw new Refusal(400, 'ExpiredToken');
  const [path = '', search = ''] = (request.url ?? '').split('?');
  const parameters = search.split('&').filter((parameter) => !parameter.startsWith('X-Goog-Signature='));
  const signedHeaders = query.get('X-Goog-SignedHeaders') ?? '';
  const headers = signedHeaders
    .split(';')
    .map((name) => `${name}:${name === 'host' ? url.hostname : (single(request.headers[name]) ?? '').trim()}`);
  const canonical = [
    request.method,
    path,
    parameters.sort().join('&'),
    ...headers,
    '',
    signedHeaders,
    'UNSIGNED-PAYLOAD',
  ].join('\n');
  const scope = (query.get('X-Goog-Credential') ?? '').split('/').slice(1).join('/');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const text = Buffer.from(['GOOG4-RSA-SHA256', date, scope, hash].join('\n'));
  const signature = Buffer.from(query.get('X-Goog-Signature') ?? '', 'hex');
  if (!verify('sha256', text, publicKey, signature)) throw new Refusal(403, 'SignatureDoesNotMatch');
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(data: Buffer): string {
  let value = ~0;
  for (const byte of data) value = (value >>> 8) ^ (crcTable[(value ^ byte) & 255] ?? 0);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(~value >>> 0);
  return bytes.toString('base64');
}
