/** Whether others may look into a home. What Weir makes there is its owner's alone; what came there otherwise (a copy, an unpacked archive) may not be. */
import {isKind, WeirError} from '#base/errors.ts';
import type {Home} from '#process/home.ts';
import type {Runtime} from '#runtime/runtime.ts';

const othersMay = 0o007;

/** PermissionDenied when everybody may read or replace the key; says so where they may look at metadata, logs or bytes. */
export async function checkHomePermissions({disk, log}: Pick<Runtime, 'disk' | 'log'>, home: Home): Promise<void> {
  const open = async (path: string): Promise<string | undefined> => {
    try {
      const {mode} = await disk.stat(path);
      return (mode & othersMay) === 0 ? undefined : (mode & 0o777).toString(8);
    } catch (error) {
      if (isKind(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  // Nobody gets through a directory that is closed.
  if ((await open(home.directory)) === undefined) return;
  const key = await open(home.keys);
  if (key !== undefined) {
    throw new WeirError('PermissionDenied', `every user of this machine may open ${home.keys} (mode ${key}), so its key is no secret: chmod 600 it, or remove it to have a new one made`);
  }
  for (const directory of [home.state, home.cache, home.data, `${home.directory}/log`]) {
    const mode = await open(directory);
    if (mode !== undefined) log.warn(`every user of this machine may look into ${directory} (mode ${mode}); chmod 700 it`);
  }
}
