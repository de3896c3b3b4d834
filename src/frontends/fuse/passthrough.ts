/**
 * Files that the kernel reads by itself, from the one local file that has them whole (FOPEN_PASSTHROUGH, Linux 6.9). What the kernel has been
 * given cannot be taken back: while one program has a file open so, all that open it get the same; and what a program maps it keeps when it has
 * closed the file, and nobody hears of that. New bytes would not be seen there, and bytes that are written into such a map are lost. So only files
 * that cannot change are given: on a mount, or below a mount of the namespace, where nothing can be written, and those that nobody may
 * write (no `w` in their mode). Who may all the same finds them busy while they are open, as a program that is being executed (ETXTBSY).
 */
import type {OpenFile} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Backing} from '#frontends/fuse/handles.ts';
import type {MountServices} from '#frontends/fuse/request.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {FuseDevice} from '#runtime/fuse.ts';

/** Smaller files come with the first READ as quickly, and need no registration; nor do they have a file of their own in the cache. */
const bytesMin = 256 * 1024;
const writeBits = 0o222;

type Services = Pick<MountServices, 'device' | 'files' | 'passthrough' | 'readOnly'>;

function isFixed({files, readOnly}: Services, {inode, mount}: FileInfo): boolean {
  return readOnly || (inode.mode & writeBits) === 0 || files.isReadOnlyNow(mount);
}

/** Whether it could be handed over, if it is all there. */
export function mayHandOver(services: Services, info: FileInfo): boolean {
  return services.passthrough && info.length >= bytesMin && isFixed(services, info);
}

/** For the first who opens a file, to read it: registered with the kernel. Undefined where it is not all there, or may change, or the kernel or its privileges do not allow it. */
export async function handOver(services: Services, file: OpenFile, context: CallContext): Promise<Backing | undefined> {
  const {info} = file;
  if (!mayHandOver(services, info)) return undefined;
  const lease = await file.lease(context);
  const id = lease && (await registered(services.device, lease));
  if (id !== undefined) return {id, lease: lease!};
  lease?.[Symbol.dispose]();
  return undefined;
}

async function registered(device: FuseDevice, lease: FileLease): Promise<number | undefined> {
  const file = await lease.lend?.();
  return file && device.registerBacking(file);
}
