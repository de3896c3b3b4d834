/** Small files made together on the simulated disk, by the steps that a real one takes for them. */
import {toBytes} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {Disk, DiskFile, DiskPath, FileStat, PlacedFile} from '#runtime/disk.ts';
import {bytesOf, shown} from '#runtime/sim/sim-paths.ts';

/** As FilePlacer says, one step after the other. */
export async function placeTogether(disk: Disk, files: readonly PlacedFile[]): Promise<(FileStat | WeirError)[]> {
  const failures = new Map<PlacedFile, WeirError>();
  const each = async (step: (file: PlacedFile) => Promise<void>): Promise<void> => {
    for (const file of files) {
      if (failures.has(file)) continue;
      await step(file).catch((error: unknown) => {
        if (!(error instanceof WeirError)) throw error;
        failures.set(file, error);
      });
    }
  };
  const drafts = new Map<PlacedFile, DiskFile>();
  await each(async (file) => {
    const draft = await disk.open(file.draft, {mode: 'exclusive', permissions: file.permissions});
    drafts.set(file, draft);
    await draft.write([file.bytes], 0);
  });
  await each((file) => drafts.get(file)!.datasync());
  const named = new Set<PlacedFile>();
  await each(async (file) => {
    for (const path of file.absent) if (await isThere(disk, path)) throw new WeirError('AlreadyExists', `placing ${shown(file.place)}: it exists`);
    await disk.rename(file.draft, file.place);
    named.add(file);
  });
  for (const directory of new Set(files.filter((file) => !failures.has(file)).map((file) => bytesOf(file.directory)))) {
    const synced = disk.syncDirectory(toBytes(directory));
    await each(async (file) => {
      if (bytesOf(file.directory) === directory) await synced;
    });
  }
  const stats = new Map<PlacedFile, FileStat>();
  await each(async (file) => void stats.set(file, await drafts.get(file)!.stat()));
  for (const [file, draft] of drafts) {
    await draft.close();
    if (!named.has(file)) await disk.unlink(file.draft);
  }
  return files.map((file) => failures.get(file) ?? stats.get(file)!);
}

async function isThere(disk: Disk, path: DiskPath): Promise<boolean> {
  try {
    await disk.stat(path);
    return true;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return false;
    throw error;
  }
}
