/** The gateway of `deploy/nginx` as it is, in a real nginx: only addresses, limits and the folder are this machine's. */
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { accepts, freePorts, missingPrograms, startProgram, tempFolder } from './spawn.ts';

export interface NginxOptions {
  /** Where the replicas of the api listen, or will. */
  readonly apiPorts: readonly number[];
  /** Where the receiver of callbacks listens, or will. */
  readonly callbacksPort: number;
  /** Variables of `deploy/nginx/gateway.env` to set otherwise. Limits are out of the way unless given here. */
  readonly variables?: Readonly<Record<string, string>>;
}

export interface NginxServer {
  /** The listener without TLS, as a load balancer would reach it. */
  readonly url: string;
  /** With a certificate that only `certificate` vouches for. */
  readonly httpsUrl: string;
  /** The listener that only redirects. */
  readonly redirectUrl: string;
  /** The self-signed certificate of `localhost` and 127.0.0.1 (PEM). */
  readonly certificate: string;
  /** Everything that it logged: access and errors. */
  readLog(): Promise<string>;
  stop(): Promise<void>;
}

const source = fileURLToPath(new URL('../../deploy/nginx', import.meta.url));
const run = promisify(execFile);

/** Why it cannot be started here; null when it can. */
export function missingNginx(): string | null {
  return missingPrograms('nginx', 'openssl');
}

export async function startNginx(options: NginxOptions): Promise<NginxServer> {
  const folder = await tempFolder('nginx');
  try {
    const [tlsPort = 0, redirectPort = 0, plainPort = 0] = await freePorts(3);
    const tls = await makeCertificate(folder.path);
    await writeConfiguration(folder.path, {
      ...(await readDefaults()),
      GATEWAY_TLS_LISTEN: `127.0.0.1:${String(tlsPort)}`,
      GATEWAY_HTTP_LISTEN: `127.0.0.1:${String(redirectPort)}`,
      GATEWAY_PLAIN_LISTEN: `127.0.0.1:${String(plainPort)}`,
      GATEWAY_TLS_CERTIFICATE: tls.certificateFile,
      GATEWAY_TLS_KEY: tls.keyFile,
      GATEWAY_API_SERVERS: options.apiPorts
        .map((port) => upstreamServer(port, 'max_fails=1 fail_timeout=2s'))
        .join(' '),
      GATEWAY_CALLBACKS_SERVERS: upstreamServer(options.callbacksPort, 'max_fails=0'),
      GATEWAY_CACHE_DIR: join(folder.path, 'cache'),
      ...unlimited,
      ...options.variables,
    });
    const logFile = join(folder.path, 'log');
    // Its workers are the user of the test, who owns the folder.
    const user = process.getuid?.() === 0 ? 'user root; ' : '';
    const globals = `${user}daemon off; pid ${join(folder.path, 'pid')};`;
    const program = await startProgram(
      'nginx',
      ['-p', folder.path, '-c', join(folder.path, 'nginx.conf'), '-g', globals],
      {
        cwd: folder.path,
        logFile,
        ready: async () => (await accepts(plainPort)) && accepts(tlsPort),
      },
    );
    return {
      url: `http://127.0.0.1:${String(plainPort)}`,
      httpsUrl: `https://127.0.0.1:${String(tlsPort)}`,
      redirectUrl: `http://127.0.0.1:${String(redirectPort)}`,
      certificate: tls.certificate,
      readLog: () => readFile(logFile, 'utf8'),
      async stop() {
        await program.stop();
        await folder.remove();
      },
    };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

const unlimited = {
  GATEWAY_KEY_RATE: '100000r/s',
  GATEWAY_KEY_BURST: '100000',
  GATEWAY_ADDRESS_RATE: '100000r/s',
  GATEWAY_ADDRESS_BURST: '100000',
  GATEWAY_CONNECTIONS: '10000',
};

/** One replica. The nginx of a test may be too old to ask a DNS for all of them. */
function upstreamServer(port: number, parameters: string): string {
  return `server 127.0.0.1:${String(port)} ${parameters};`;
}

async function makeCertificate(folder: string) {
  const [certificateFile, keyFile] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1';
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  await run('openssl', [...args, '-addext', names, '-keyout', keyFile, '-out', certificateFile]);
  return { certificateFile, keyFile, certificate: await readFile(certificateFile, 'utf8') };
}

async function readDefaults(): Promise<Record<string, string>> {
  const lines = (await readFile(join(source, 'gateway.env'), 'utf8')).split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => [...line.matchAll(/^(\w+)=(.*)$/g)].map(([, name, value]) => [name, value])),
  );
}

/** Lays the files out as the official image has them, with its templates rendered. */
async function writeConfiguration(folder: string, variables: Readonly<Record<string, string>>): Promise<void> {
  await cp(join(source, 'nginx.conf'), join(folder, 'nginx.conf'));
  await cp(join(source, 'snippets'), join(folder, 'snippets'), { recursive: true });
  await writeFile(join(folder, 'mime.types'), 'types { text/html html; }\n');
  await mkdir(join(folder, 'conf.d'));
  await mkdir(join(folder, 'cache'));
  for (const name of await readdir(join(source, 'templates'))) {
    const template = await readFile(join(source, 'templates', name), 'utf8');
    const text = template.replace(/\$\{(\w+)\}/g, (_, variable: string) => {
      const value = variables[variable];
      if (value === undefined) throw new Error(`${name} names ${variable}, which gateway.env does not set`);
      return value;
    });
    await writeFile(join(folder, 'conf.d', name.replace(/\.template$/, '')), text);
  }
}
