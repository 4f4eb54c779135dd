/** Real Redis servers on 127.0.0.1 that write nothing to disk: one alone, or three masters that are a cluster. */
import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { eventually, freePorts, missingPrograms, startProgram, tempFolder, type Program } from './spawn.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** PEM of whom a client has to trust; null without encryption. */
  readonly certificate: string | null;
  /** FLUSHALL: every key is gone; connections stay. */
  flush(): Promise<void>;
  /** It accepts connections and commands, and answers none until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Ends the process at once, as a power cut would; its place stays reserved for `resume`. */
  halt(): Promise<void>;
  /** Starts it again where it was, with nothing in it. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

export interface RedisCluster {
  /** Of one node, from which the others can be learned. */
  readonly url: string;
  /** Of every node. */
  readonly urls: readonly string[];
  readonly nodes: readonly RedisServer[];
  /** Resolves when every node sees every slot served. */
  settled(): Promise<void>;
  /** FLUSHALL on every node. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  /** Asked for on every connection; none by default. */
  readonly password?: string;
  /** Encrypted connections only, with a certificate for `localhost` that it signed itself. */
  readonly tls?: boolean;
}

const slots = 16_384;

/** Why it cannot be started here; null when it can. */
export function missingRedis(): string | null {
  return missingPrograms('redis-server', 'openssl');
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = await tempFolder('redis');
  try {
    const [port = 0] = await freePorts(1);
    const server = await startNode({ ...options, folder: folder.path, port });
    return { ...server, stop: () => server.stop().then(folder.remove) };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

/** Three masters without replicas: while one is away, its third of the keys cannot be used. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const folder = await tempFolder('redis-cluster');
  const nodes: ClusterNode[] = [];
  async function stop(): Promise<void> {
    await Promise.all(nodes.map((node) => node.stop()));
    await folder.remove();
  }
  try {
    const ports = await freePorts(6);
    for (const [index, port] of ports.slice(0, 3).entries()) {
      const path = join(folder.path, String(port));
      await mkdir(path);
      const busPort = ports[index + 3] ?? 0;
      nodes.push({ ...(await startNode({ folder: path, port, busPort })), busPort });
    }
    await joinNodes(nodes);
    const settled = async (): Promise<void> => void (await Promise.all(nodes.map((node) => seesAll(node))));
    await settled();
    const flush = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.flush())));
    return { url: nodes[0]?.url ?? '', urls: nodes.map(({ url }) => url), nodes, settled, flush, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface NodeOptions extends RedisServerOptions {
  readonly folder: string;
  readonly port: number;
  /** Makes it a node of a cluster. */
  readonly busPort?: number;
}

interface ClusterNode extends RedisServer {
  readonly busPort: number;
}

async function startNode({ folder, port, busPort, password, tls = false }: NodeOptions): Promise<RedisServer> {
  const login = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  const url = tls ? `rediss://${login}localhost:${port}` : `redis://${login}127.0.0.1:${port}`;
  const certificate = tls ? await makeCertificate(folder) : null;
  const args = tls ? ['--port', '0', '--tls-port', String(port), ...tlsArguments] : ['--port', String(port)];
  args.push('--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no');
  args.push('--maxmemory-policy', 'noeviction');
  if (password !== undefined) args.push('--requirepass', password);
  if (busPort !== undefined) {
    args.push('--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-node-timeout', '2000');
    args.push('--cluster-port', String(busPort), '--cluster-announce-ip', '127.0.0.1');
  }
  const start = (): Promise<Program> =>
    startProgram('redis-server', args, {
      cwd: folder,
      logFile: join(folder, 'log'),
      ready: () => ask(url, async (redis) => (await redis.ping()) === 'PONG', certificate),
    });
  let program = await start();
  return {
    url,
    port,
    certificate,
    flush: async () => void (await ask(url, (redis) => redis.flushall(), certificate)),
    freeze: () => void program.child.kill('SIGSTOP'),
    thaw: () => void program.child.kill('SIGCONT'),
    halt: () => program.stop('SIGKILL'),
    async resume() {
      program = await start();
    },
    stop: () => program.stop('SIGKILL'),
  };
}

/** Divides the slots between the nodes and makes them known to each other. */
async function joinNodes(nodes: readonly ClusterNode[]): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    const from = Math.ceil((index * slots) / nodes.length);
    const to = Math.ceil(((index + 1) * slots) / nodes.length) - 1;
    await ask(node.url, async (redis) => {
      await redis.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
      await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      if (index > 0) {
        const first = nodes[0];
        await redis.call('CLUSTER', 'MEET', '127.0.0.1', String(first?.port), String(first?.busPort));
      }
    });
  }
}

async function seesAll(node: RedisServer): Promise<void> {
  await eventually(`the node on ${node.port} sees the cluster whole`, () =>
    ask(node.url, async (redis) => {
      const info = String(await redis.call('CLUSTER', 'INFO'));
      return /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info) && info.includes(`slots_ok:${slots}`);
    }).catch(() => false),
  );
}

const tlsArguments = ['--tls-cert-file', 'cert.pem', '--tls-key-file', 'key.pem', '--tls-auth-clients', 'no'];

async function makeCertificate(folder: string): Promise<string> {
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
  await promisify(execFile)('openssl', ['req', ...kind, ...names, ...files]);
  return readFile(join(folder, 'cert.pem'), 'utf8');
}

/** One question over a connection of its own. */
async function ask<T>(
  url: string,
  question: (redis: Redis) => Promise<T>,
  certificate: string | null = null,
): Promise<T> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    ...(certificate !== null && { tls: { ca: certificate } }),
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}
