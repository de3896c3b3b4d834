/** How a new content comes to its store: as the request says, else the nearest directory above, else the mount, else who asks. */
import {WeirError} from '#base/errors.ts';
import type {MountId} from '#base/ids.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {writeTypeSetAbove} from '#master/namespace/write-type.ts';
import type {Persister} from '#master/persist/persister.ts';
import type {Transactions} from '#master/transactions.ts';
import {defaultWriteType, type WriteType} from '#model/mount.ts';
import type {Path} from '#model/path.ts';

export interface WriteTypeServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly persister: Persister;
}

export class WriteTypes {
  readonly #services: WriteTypeServices;

  constructor(services: WriteTypeServices) {
    this.#services = services;
  }

  /** Unsupported: what was asked for needs a cache that lasts. */
  of(path: Path, mount: MountId, {writeType: asked, writeTypeDefault}: {readonly writeType?: WriteType | undefined; readonly writeTypeDefault?: WriteType | undefined}): WriteType {
    const {transactions, mounts, persister} = this.#services;
    // Markers of directories are empty, and stores with directories have none.
    if (path.kind === 'directory' || asked === 'CACHE_THROUGH') return 'CACHE_THROUGH';
    if (!persister.works) {
      if (asked !== undefined) throw new WeirError('Unsupported', `this instance cannot write ${asked}: it has no cache that lasts`);
      return 'CACHE_THROUGH';
    }
    return asked ?? transactions.peek((reader) => writeTypeSetAbove(reader, path)) ?? mounts.mount(mount).writeType ?? writeTypeDefault ?? defaultWriteType;
  }
}
