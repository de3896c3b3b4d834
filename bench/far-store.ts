/** A real S3 server behind a link: what is written goes round the link, what Weir reads comes through it. */
import {type Link, startLink} from '#runtime/node/link/link.ts';
import {type S3Server, startVersitygw} from '../test/servers/s3-servers.ts';
import {generateLoad, type Load} from './generate-load.ts';
import type {LoadPlan} from './load.ts';
import {startWeir, type Weir} from './weir.ts';

export interface LinkShape {
  readonly rttMs: number;
  readonly bytesPerSecond: number;
  readonly perConnectionBytesPerSecond?: number;
}

/** The link of the goals: 25 ms, 200 MB/s for all connections together. */
export const farLink: LinkShape = {rttMs: 25, bytesPerSecond: 200e6};

type Request = Omit<LoadPlan, 'host' | 'port' | 'accessKeyId' | 'secretAccessKey'>;

export class FarStore implements AsyncDisposable {
  readonly server: S3Server;
  readonly bucket: string;

  private constructor(server: S3Server, bucket: string) {
    this.server = server;
    this.bucket = bucket;
  }

  /** Undefined where there is no such server. */
  static async start(forWhat: string, bucket: string): Promise<FarStore | undefined> {
    const server = await startVersitygw(forWhat);
    if (!server) return undefined;
    await server.makeBucket(bucket);
    return new FarStore(server, bucket);
  }

  link(shape: LinkShape): Promise<Link> {
    return startLink({target: {host: '127.0.0.1', port: this.server.port}, ...shape});
  }

  /** A new instance (`options` of startWeir) with the bucket mounted by way of `link`, or directly; the mount believes for a day what it knows. */
  weir(link?: Link, options: Parameters<typeof startWeir>[1] = {}): Promise<Weir> {
    const {accessKeyId, secretAccessKey} = this.server;
    return startWeir([{uri: `s3://${this.bucket}`, options: {endpoint: `http://127.0.0.1:${link?.address.port ?? this.server.port}`, accessKeyId, secretAccessKey, maxAge: '1d'}}], options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
  }

  async write(keys: readonly string[], bytes: number): Promise<void> {
    await this.direct({method: 'PUT', requests: keys.map(key => ({path: `/${this.bucket}/${key}`})), connections: Math.min(8, keys.length), bodyBytes: bytes});
  }

  /** Requests that go past Weir, by way of `link` or directly. */
  direct(request: Request, link?: Link): Promise<Load> {
    const {accessKeyId, secretAccessKey, port, pid} = this.server;
    return generateLoad({...request, host: '127.0.0.1', port: link?.address.port ?? port, accessKeyId, secretAccessKey}, pid, {pinned: false});
  }
}

export function throughWeir(weir: Weir, request: Request): Promise<Load> {
  const {accessKeyId, secretAccessKey, s3, pid} = weir;
  return generateLoad({...request, host: s3.hostname, port: Number(s3.port), accessKeyId, secretAccessKey}, pid, {pinned: false});
}
