/** What `weir fuse` runs: finds the instance, and who is to serve the mount. What is heavy is loaded when this process serves it. */
import type {InstanceInfo, RootKey} from '#cli/environment.ts';
import type {DirectoryOptions} from '#contracts/mounts-api.ts';
import {connectFiles} from '#process/connect.ts';
import {serveByInstance} from '#process/instance-mount.ts';
import {SupervisedMount} from '#process/supervised-mount.ts';
import {whyElsewhere} from '#process/whereabouts.ts';
import {RpcClient} from '#rpc/client.ts';
import type {Fuse} from '#runtime/fuse.ts';
import {whereabouts} from '#runtime/node/whereabouts.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface MountBesideParts {
  readonly runtime: Runtime;
  /** Unavailable. */
  readonly running: () => Promise<{readonly info: InstanceInfo; readonly key: RootKey}>;
  readonly keeper: string;
  readonly keepMount: () => boolean;
}

/** CliEnvironment.mount. */
export async function mountBeside({runtime, running, keeper, keepMount}: MountBesideParts, options: DirectoryOptions, {ownProcess}: {readonly ownProcess: boolean}) {
  const from = whereabouts();
  const whyNot = (info: InstanceInfo) => (ownProcess ? 'that was asked for' : whyElsewhere(info.whereabouts, from));
  let made: Promise<Fuse> | undefined;
  const fuse = () => (made ??= import('#runtime/node/fuse/node-fuse.ts').then(({NodeFuse}) => new NodeFuse(runtime.log)));
  const why = whyNot((await running()).info);
  const mount = await SupervisedMount.start({
    runtime, keepMount,
    async serve(how) {
      const {info, key} = await running();
      if (from && whyNot(info) === undefined) return await serveByInstance({client: new RpcClient(runtime, {address: info.rpc, ...key}), options, from, log: runtime.log}, how);
      const {serveOwn} = await import('#process/own-mount.ts');
      return await serveOwn({runtime, fuse: await fuse(), options, keeper, connect: onLost => connectFiles(runtime, info.rpc, key, onLost)}, how);
    },
    takeOver: async () => await (await fuse()).takeOver({...options, source: 'weir', keeper}),
  });
  return Object.assign(mount, {why});
}
