/** Who has the open under stores: the master decides which there are, the worker reads and writes through the same ones. */
import type {MountId} from '#base/ids.ts';
import type {UnderStore, UploadNotes} from '#understore/under-store.ts';

/** Open stores by mount, wrapped in the layers (retry, limits, metrics) that `process/` chose. */
export interface StoreProvider {
  /** NotFound when there is no such mount (any more). */
  get(mount: MountId): UnderStore;
  /** Nobody but Weir changes what the mount's store holds (its contract is `immutable`), and Weir puts a new object in the place of the old. */
  isOurs(mount: MountId): boolean;
}

/** What can be mounted: schemes and their connectors, loaded when first used. */
export interface StoreRegistry {
  /** Names of the schemes, for messages. */
  readonly schemes: readonly string[];
  /** Connector.describe, plus the names of secret options. InvalidArgument for unknown schemes and options. */
  describe(uri: string, options: Readonly<Record<string, string>>): Promise<{readonly place: string; readonly defaultName: string; readonly secrets: readonly string[]}>;
  /** An open store with all layers around it. Its multipart uploads are noted in `uploads`. */
  open(uri: string, options: Readonly<Record<string, string>>, uploads?: UploadNotes): Promise<UnderStore>;
}
