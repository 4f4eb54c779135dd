/** A real S3 server: Ceph's radosgw before one monitor and one object store in memory, all on 127.0.0.1. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  CreateBucketCommand,
  DeleteBucketPolicyCommand,
  ListObjectsV2Command,
  ListMultipartUploadsCommand,
  PutBucketPolicyCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import {
  accepts,
  findProgram,
  freePorts,
  missingPrograms,
  startProgram,
  tempFolder,
  type Program,
  type TempFolder,
} from './spawn.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Server {
  readonly endpoint: string;
  readonly region: string;
  /** Of the owner of all buckets. */
  readonly credentials: S3Credentials;
  /** Of somebody who owns nothing and was given nothing. */
  readonly stranger: S3Credentials;
  /** A new, empty bucket. @returns its name */
  makeBucket(): Promise<string>;
  /** Of the objects there, up to 1,000. */
  keys(bucket: string): Promise<string[]>;
  /** From now on nobody may write there, its owner included; everything stays readable. */
  denyWrites(bucket: string): Promise<void>;
  allowWrites(bucket: string): Promise<void>;
  /** The stranger may read, write and delete objects there, and nothing else. */
  letIn(bucket: string): Promise<void>;
  /** How many bytes the owner may store in all; null lifts the limit. */
  limitBytes(bytes: number | null): Promise<void>;
  /** Multipart uploads that were begun and neither completed nor aborted. */
  unfinishedUploads(bucket: string): Promise<string[]>;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const programs = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'ceph-authtool', 'monmaptool'] as const;

/** Why it cannot be started here; null when it can. */
export function missingS3(): string | null {
  return missingPrograms(...programs);
}

/** @param options.storeBytes how much all buckets hold together; 2 GB by default */
export async function startS3(options: { readonly storeBytes?: number } = {}): Promise<S3Server> {
  const folder = await tempFolder('s3');
  const started: Program[] = [];
  async function stop(): Promise<void> {
    // Each hangs once what it talks to is gone, so the last begun ends first.
    for (const program of started.splice(0).reverse()) await program.stop();
    await folder.remove();
  }
  try {
    const [monitorPort = 0, port = 0] = await freePorts(2);
    await startCluster(folder, { monitorPort, storeBytes: options.storeBytes ?? 2 * 1024 ** 3 }, started);
    const [credentials, stranger] = [await addUser(folder, 'owner'), await addUser(folder, 'stranger')];
    const frontend = `beast endpoint=127.0.0.1:${port} tcp_nodelay=1`;
    started.push(
      await startCeph('radosgw', ['-n', 'client.rgw', `--rgw_frontends=${frontend}`], folder, () => accepts(port)),
    );
    return { ...operate(folder, `http://127.0.0.1:${port}`, credentials), stranger, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function operate(
  folder: TempFolder,
  endpoint: string,
  credentials: S3Credentials,
): Omit<S3Server, 'stranger' | 'stop'> {
  const region = 'us-east-1';
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  return {
    endpoint,
    region,
    credentials,
    async makeBucket() {
      const name = `dailies-${randomUUID()}`;
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return name;
    },
    async keys(bucket) {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      return Contents.map((object) => object.Key ?? '');
    },
    async denyWrites(bucket) {
      const statement = {
        Effect: 'Deny',
        Principal: '*',
        Action: ['s3:PutObject'],
        Resource: `arn:aws:s3:::${bucket}/*`,
      };
      const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
      await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy }));
    },
    async letIn(bucket) {
      const statement = {
        Effect: 'Allow',
        Principal: { AWS: ['arn:aws:iam:::user/stranger'] },
        Action: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
        Resource: `arn:aws:s3:::${bucket}/*`,
      };
      const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
      await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy }));
    },
    async allowWrites(bucket) {
      await client.send(new DeleteBucketPolicyCommand({ Bucket: bucket }));
    },
    async limitBytes(bytes) {
      const quota = ['quota', bytes === null ? 'disable' : 'enable', '--quota-scope=user', '--uid=owner'];
      if (bytes !== null) await admin(folder, ['quota', 'set', ...quota.slice(2), `--max-size=${bytes}B`]);
      await admin(folder, quota);
    },
    async unfinishedUploads(bucket) {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return Uploads.map((upload) => upload.Key ?? '');
    },
  };
}

async function startCluster(
  folder: TempFolder,
  { monitorPort, storeBytes }: { readonly monitorPort: number; readonly storeBytes: number },
  started: Program[],
): Promise<void> {
  const { path } = folder;
  const id = randomUUID();
  const keyring = join(path, 'keyring');
  for (const name of ['mon', 'osd', 'run', 'log']) await mkdir(join(path, name));
  await writeFile(join(path, 'ceph.conf'), configuration({ path, id, monitorPort, storeBytes }));
  const everything = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *'];
  await run('ceph-authtool', ['--create-keyring', keyring, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *']);
  await run('ceph-authtool', [keyring, '--gen-key', '-n', 'client.admin', ...everything, '--cap', 'mgr', 'allow *']);
  await run('ceph-authtool', [keyring, '--gen-key', '-n', 'client.rgw', ...everything]);
  await run('ceph-authtool', [
    keyring,
    '--gen-key',
    '-n',
    'osd.0',
    '--cap',
    'mon',
    'allow profile osd',
    '--cap',
    'osd',
    'allow *',
  ]);
  const map = join(path, 'monmap');
  await run('monmaptool', ['--create', '--add', 'a', `127.0.0.1:${monitorPort}`, '--fsid', id, map]);
  await ceph('ceph-mon', ['-i', 'a', '--mkfs', '--monmap', map, '--keyring', keyring], folder);
  started.push(await startCeph('ceph-mon', ['-i', 'a'], folder, () => accepts(monitorPort)));
  const store = randomUUID();
  await ceph('ceph', ['osd', 'new', store], folder);
  await ceph('ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', store], folder);
  await ceph('ceph', ['osd', 'crush', 'add', 'osd.0', '1.0', 'host=localhost', 'root=default'], folder);
  const isUp = async (): Promise<boolean> => {
    const { stdout } = await ceph('ceph', ['osd', 'stat', '--format=json'], folder);
    return /"num_up_osds":\s*1/.test(stdout);
  };
  started.push(await startCeph('ceph-osd', ['-i', '0'], folder, isUp));
}

/** Everything in one folder, one copy of each object, and no waiting for others. */
function configuration(values: {
  readonly path: string;
  readonly id: string;
  readonly monitorPort: number;
  readonly storeBytes: number;
}): string {
  const { path, id, monitorPort, storeBytes } = values;
  return `[global]
fsid = ${id}
mon host = [v2:127.0.0.1:${monitorPort}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth allow insecure global id reclaim = false
run dir = ${path}/run
admin socket = ${path}/run/$name.$pid.asok
log file = ${path}/log/$name.log
pid file = ${path}/run/$name.pid
crash dir = ${path}/log
keyring = ${path}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
mon max pg per osd = 1000
paxos propose interval = 0.05
paxos min wait = 0.01
osd heartbeat interval = 1
[mon.a]
mon data = ${path}/mon
[osd.0]
osd data = ${path}/osd
osd objectstore = memstore
memstore device bytes = ${storeBytes}
[client.rgw]
rgw data = ${path}
rgw run sync thread = false
rgw dns name = localhost
rgw user quota bucket sync interval = 1
rgw bucket quota ttl = 0
rgw gc obj min wait = 1
rgw gc processor period = 1
rgw gc processor max time = 1
`;
}

function ceph(name: (typeof programs)[number], args: readonly string[], { path }: TempFolder) {
  return run(findProgram(name) ?? name, ['-c', join(path, 'ceph.conf'), ...args], { cwd: path });
}

function startCeph(
  name: (typeof programs)[number],
  args: readonly string[],
  { path }: TempFolder,
  ready: () => Promise<boolean>,
): Promise<Program> {
  const all = ['-f', '-c', join(path, 'ceph.conf'), ...args];
  return startProgram(name, all, { cwd: path, logFile: join(path, 'log', `${name}.out`), ready, timeoutMs: 60_000 });
}

function admin(folder: TempFolder, args: readonly string[]) {
  return ceph('radosgw-admin', ['-n', 'client.rgw', ...args], folder);
}

async function addUser(folder: TempFolder, name: string): Promise<S3Credentials> {
  const credentials = { accessKeyId: `${name}-key`, secretAccessKey: randomUUID() };
  const { accessKeyId, secretAccessKey } = credentials;
  const keys = [`--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`];
  await admin(folder, ['user', 'create', `--uid=${name}`, `--display-name=${name}`, ...keys]);
  return credentials;
}
