/** A client of a running instance: the same FileSystemClient as inside, over stubs. */
import type {RootKey} from '#cli/environment.ts';
import type {FileSystem} from '#client/file-system.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import {RemoteDrafts} from '#client/remote-drafts.ts';
import type {CallContext} from '#contracts/context.ts';
import type {IdentityApi} from '#contracts/identity-api.ts';
import type {ServedMountInfo} from '#contracts/mounts-api.ts';
import {draftsWire, identityWire, masterWire, mountsWire, workerWire} from '#contracts/wire.ts';
import {RpcClient} from '#rpc/client.ts';
import type {Address} from '#runtime/net.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** Connects when first used. `onLost`: RpcClientOptions. Unavailable, Unauthenticated. */
export function connectFiles(runtime: Pick<Runtime, 'net' | 'random'>, address: Address, key: RootKey, onLost?: () => void): FileSystem & AsyncDisposable {
  const client = new RpcClient(runtime, {address, ...key, ...(onLost ? {onLost} : {})});
  const files = new FileSystemClient({master: client.stub('master', masterWire), worker: client.stub('worker', workerWire), drafts: new RemoteDrafts(client.stub('drafts', draftsWire))});
  return Object.assign(files, {[Symbol.asyncDispose]: () => client.close()});
}

/** The mounts that it serves. */
export async function listServedMounts(runtime: Pick<Runtime, 'net' | 'random'>, address: Address, key: RootKey, context: CallContext): Promise<readonly ServedMountInfo[]> {
  await using client = new RpcClient(runtime, {address, ...key});
  return await client.stub('mounts', mountsWire).listServed(context);
}

/** The same for users, keys and policies. */
export function connectIdentity(runtime: Pick<Runtime, 'net' | 'random'>, address: Address, key: RootKey): IdentityApi & AsyncDisposable {
  const client = new RpcClient(runtime, {address, ...key});
  return Object.assign(client.stub('identity', identityWire), {[Symbol.asyncDispose]: () => client.close()});
}
