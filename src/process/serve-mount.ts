/** A mount by FUSE over a client, in whatever process: gone on with where one was left (runtime/node/fuse/keeper/), else made. */
import type {Foreground} from '#base/foreground.ts';
import type {FileSystem} from '#client/file-system.ts';
import {systemContext} from '#contracts/context.ts';
import type {DirectoryOptions} from '#contracts/mounts-api.ts';
import {type LeftToServe, Mount} from '#frontends/fuse/mount.ts';
import {rootOf} from '#frontends/fuse/node-numbers.ts';
import {openInodes} from '#frontends/fuse/take-over.ts';
import {keptMount} from '#process/kept-mounts.ts';
import type {Fuse} from '#runtime/fuse.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface MountParts {
  readonly files: FileSystem;
  readonly fuse: Fuse;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'random'>;
  readonly options: DirectoryOptions;
  readonly foreground?: Foreground;
  /** Where mounts of this home are kept. */
  readonly keeper: string;
  /** Where the instance is this process and has just begun. */
  readonly recovering?: LeftToServe['recovering'];
}

const nothing: LeftToServe['recovering'] = {inodes: [], done: Promise.resolve()};

/** `goOn`: there was a mount; undefined where it has been taken away. One that died with its keeper is made anew. Busy, Unsupported, PermissionDenied, NotFound, NotADirectory, Unavailable. */
export async function serveMount({files, fuse, runtime, options, foreground, keeper, recovering = nothing}: MountParts, {goOn}: {readonly goOn: boolean}): Promise<Mount | undefined> {
  const {readOnly, passthrough, sharedLocks, shownAs, subdirectory} = options;
  const asked = {...options, source: 'weir', keeper};
  const common = {files, runtime, foreground, readOnly, passthrough, sharedLocks, shownAs};
  const kept = await keptMount(fuse, asked, runtime.log);
  if (!kept && goOn && !(await fuse.isDead(options.directory))) return undefined;
  if (!kept) return Mount.begin({...common, root: await rootOf(files, subdirectory, systemContext), device: await fuse.mount(asked)});
  const {device, left} = kept;
  try {
    const {origin} = left.kept;
    await files.hold(origin, [...openInodes(left)], systemContext);
    const drafts = await files.handOverDrafts(origin, systemContext);
    return await Mount.goOn({...common, device}, {left, drafts, recovering});
  } catch (error) {
    await device.leave(Promise.resolve());
    throw error;
  }
}
