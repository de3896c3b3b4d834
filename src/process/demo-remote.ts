/**
 * The pretend-remote store of weir demo, in a process of its own as a real one would be: an instance over a folder, and the link before it.
 * Questions from the demo: `{home, version}` starts it; `'counters'` asks what has gone over the link.
 */
import type {RootKey} from '#cli/environment.ts';
import {startEmbedded, type Instance} from '#process/embedded.ts';
import type {Address} from '#runtime/net.ts';
import {answerParent} from '#runtime/node/child.ts';
import {createHttp} from '#runtime/node/http/node-http.ts';
import {type Link, type LinkCounters, startLink} from '#runtime/node/link/link.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {processFacts} from '#runtime/node/process.ts';

export const rttMs = 25;
export const bytesPerSecond = 200_000_000;

export interface StartRemote {
  readonly home: string;
  readonly version: string;
}

export interface RemoteStarted {
  /** Where the store answers behind the link. */
  readonly link: Address;
  /** Where it is filled, past the link. */
  readonly rpc: Address;
  readonly key: RootKey;
}

const stop = new AbortController();

async function start({home, version}: StartRemote): Promise<{instance: Instance; link: Link; started: RemoteStarted}> {
  const runtime = createNodeRuntime({log: {level: 'silent'}});
  const up = {uris: [], host: '127.0.0.1', s3Port: 0, httpPort: 0, rpcPort: 0, disks: []};
  const instance = await startEmbedded({home, up, version, pid: processFacts.id, variables: {}}, {runtime, http: createHttp(), signal: stop.signal});
  const target = new URL(instance.info.s3);
  const link = await startLink({target: {host: target.hostname, port: Number(target.port)}, rttMs, bytesPerSecond});
  return {instance, link, started: {link: link.address, rpc: instance.info.rpc, key: instance.key}};
}

/** What the child's module does when it is run; imported by the demo only for its types and numbers. */
export async function serveRemote(): Promise<void> {
  let running: Awaited<ReturnType<typeof start>> | undefined;
  await answerParent(async (question): Promise<RemoteStarted | LinkCounters> => {
    running ??= await start(question as StartRemote);
    return question === 'counters' ? running.link.counters : running.started;
  });
  await running?.link[Symbol.asyncDispose]();
  await running?.instance[Symbol.asyncDispose]();
}
