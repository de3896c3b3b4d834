/** The ways to read through Weir, as one interface: bytes are handed over as they come, also those before an answer broke off. */
import http from 'node:http';
import {fromText} from '#base/byte-string.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import {systemContext} from '#contracts/context.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import {masterWire, workerWire} from '#contracts/wire.ts';
import type {WorkerApi} from '#contracts/worker-api.ts';
import {RpcClient} from '#rpc/client.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {Weir} from './harness.ts';
import {encodeKey} from './s3-client.ts';

export interface Got {
  bytes: Buffer;
  /** Length of the file, as the answer says. */
  total: number | undefined;
  /** The answer has ended in good order. */
  whole: boolean;
}

export interface Reader {
  /** Rejects when the answer is no success or breaks off. */
  read(bucket: string, key: string, range: {readonly offset: number; readonly length?: number}, got: Got): Promise<void>;
  close(): Promise<void>;
}

const answerMsMax = 20_000;

const rangeHeader = ({offset, length}: {offset: number; length?: number}): Record<string, string> =>
  offset === 0 && length === undefined ? {} : {range: `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`};

export function s3Reader(weir: Weir): Reader {
  const agent = new http.Agent({keepAlive: true});
  const client = weir.s3;
  return {
    read: (bucket, key, range, got) => {
      const target = `/${bucket}/${encodeKey(key)}`;
      return httpRead(agent, weir.ready.s3, target, client.sign('GET', target, {headers: rangeHeader(range)}), got);
    },
    close: async () => (agent.destroy(), client.close()),
  };
}

export function restReader(weir: Weir): Reader {
  const agent = new http.Agent({keepAlive: true});
  const {http: endpoint, accessKeyId, secretAccessKey} = weir.ready;
  const authorization = `Basic ${Buffer.from(`${accessKeyId}:${secretAccessKey}`).toString('base64')}`;
  return {
    read: (bucket, key, range, got) => httpRead(agent, endpoint, `/api/v1/content?path=${encodeURIComponent(`/${bucket}/${key}`)}`, {authorization, ...rangeHeader(range)}, got),
    close: async () => agent.destroy(),
  };
}

async function httpRead(agent: http.Agent, endpoint: string, target: string, headers: Record<string, string>, got: Got): Promise<void> {
  const {hostname, port} = new URL(endpoint);
  await new Promise<void>((resolve, reject) => {
    const request = http.request({hostname, port, path: target, agent, headers, signal: AbortSignal.timeout(answerMsMax)});
    request.once('error', reject);
    request.once('response', response => {
      const {statusCode, headers: answer} = response;
      if (statusCode !== 200 && statusCode !== 206) {
        response.resume();
        response.once('error', reject);
        response.once('end', () => reject(Object.assign(new Error(`status ${statusCode}`), {code: `status ${statusCode}`})));
        return;
      }
      const total = statusCode === 206 ? /\/(\d+)$/.exec(answer['content-range'] ?? '')?.[1] : answer['content-length'];
      if (total !== undefined) got.total = Number(total);
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => {
        got.bytes = Buffer.concat(chunks);
        got.whole = true;
        resolve();
      });
      response.once('error', error => {
        got.bytes = Buffer.concat(chunks);
        reject(error);
      });
    });
    request.end();
  });
}

const runtime = createNodeRuntime();

/** The TypeScript client, over a connection. */
export function fileSystemReader(weir: Weir): Reader {
  const {rpc, accessKeyId, secretAccessKey} = weir.ready;
  const [host, port] = rpc.split(':') as [string, string];
  const connection = new RpcClient(runtime, {address: {host, port: Number(port)}, accessKeyId, secretAccessKey});
  const files = new FileSystemClient({master: connection.stub<MasterApi>('master', masterWire), worker: connection.stub<WorkerApi>('worker', workerWire)});
  return {
    read: async (bucket, key, range, got) => {
      const context = {...systemContext, signal: AbortSignal.timeout(answerMsMax)};
      await using file = await files.open(fromText(`/${bucket}/${key}`), {range}, context);
      got.total = file.info.length;
      const body = await file.read(file.resolve(range), context);
      if (body.kind === 'lease') throw new Error('a lease has come over a connection');
      const chunks: Uint8Array[] = [];
      try {
        if (body.kind === 'bytes') chunks.push(body.bytes);
        else for await (const chunk of body.stream) chunks.push(chunk);
        got.whole = true;
      } finally {
        got.bytes = Buffer.concat(chunks);
      }
    },
    close: () => connection.close(),
  };
}
