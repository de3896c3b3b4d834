/**
 * A mount that this process serves by itself, over a connection to the instance. When that goes it leaves the mount as if it died itself
 * (supervised-mount.ts goes on with it when there is an instance again).
 */
import type {FileSystem} from '#client/file-system.ts';
import {systemContext} from '#contracts/context.ts';
import type {Mount} from '#frontends/fuse/mount.ts';
import {serveMount, type MountParts} from '#process/serve-mount.ts';
import type {Served} from '#process/supervised-mount.ts';

export interface OwnMountParts extends Omit<MountParts, 'files'> {
  /** `onLost`: RpcClientOptions. */
  readonly connect: (onLost: () => void) => FileSystem & AsyncDisposable;
}

/** As serveMount. */
export async function serveOwn({connect, ...parts}: OwnMountParts, how: {readonly goOn: boolean}): Promise<Served | undefined> {
  const lost = Promise.withResolvers<void>();
  let mount: Mount | undefined;
  const files = connect(() => {
    // One that is not kept waits for the next connection, as any client.
    if (mount && !mount.isKept) return;
    mount?.abandon();
    void files[Symbol.asyncDispose]();
    lost.resolve();
  });
  try {
    // It answers, before anything is taken over.
    await files.status(systemContext);
    mount = await serveMount({...parts, files}, how);
  } catch (error) {
    await files[Symbol.asyncDispose]();
    throw error;
  }
  if (!mount) {
    await files[Symbol.asyncDispose]();
    return undefined;
  }
  const served = mount;
  const over = async (): Promise<'gone' | 'lost'> => {
    const how = await Promise.race([lost.promise.then(() => 'lost' as const), served.ended.then(() => 'gone' as const)]);
    if (how === 'lost') await served.leave();
    return how;
  };
  return {
    over: over(),
    // One that is not kept cannot be left.
    leave: async () => {
      await served.leave();
      await served[Symbol.asyncDispose]();
    },
    unmount: async () => await served[Symbol.asyncDispose](),
    close: async () => await files[Symbol.asyncDispose](),
  };
}
