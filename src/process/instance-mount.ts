/** A mount that the instance serves for this process, which supervises it: asks for it, hears when it has gone, and takes it away at its end. */
import {systemContext} from '#contracts/context.ts';
import type {DirectoryOptions, Whereabouts} from '#contracts/mounts-api.ts';
import {mountsWire} from '#contracts/wire.ts';
import type {Served} from '#process/supervised-mount.ts';
import type {RpcClient} from '#rpc/client.ts';
import type {Log} from '#runtime/log.ts';

export interface InstanceMountParts {
  /** Closed when the mount is over. */
  readonly client: RpcClient;
  readonly options: DirectoryOptions;
  readonly from: Whereabouts;
  /** Where to say what the instance has to say. */
  readonly log: Pick<Log, 'warn'>;
}

/** Undefined where the mount to go on with has been taken away. As MountsApi.serve. */
export async function serveByInstance({client, options, from, log}: InstanceMountParts, {goOn}: {readonly goOn: boolean}): Promise<Served | undefined> {
  const mounts = client.stub('mounts', mountsWire);
  const news = mounts.serve(options, {from, goOn}, systemContext)[Symbol.asyncIterator]();
  try {
    for (let next = await news.next(); !next.done; next = await news.next()) {
      if ('said' in next.value) {
        log.warn(next.value.said);
        continue;
      }
      return {
        over: news.next().then(() => 'gone', () => 'lost'),
        // The instance goes on serving it.
        leave: () => Promise.resolve(),
        unmount: () => mounts.unmount(options.directory, systemContext),
        close: () => client.close(),
      };
    }
  } catch (error) {
    await client.close();
    throw error;
  }
  await client.close();
  return undefined;
}
