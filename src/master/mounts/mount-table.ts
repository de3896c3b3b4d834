/**
 * The mounts of this instance and their open stores. The table in the metastore is the truth; this is its live form: one
 * open under store a mount, shared by master and worker. A store that cannot be opened at start does not keep the rest
 * from working: its mount answers Unavailable, and the next use tries again.
 */
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {MountId} from '#base/ids.ts';
import {checkPlace} from '#master/mounts/places.ts';
import type {Mount} from '#model/mount.ts';
import type {Log} from '#runtime/log.ts';
import type {StoreProvider, StoreRegistry} from '#understore/store-provider.ts';
import type {UnderStore, UploadNotes} from '#understore/under-store.ts';

export interface LiveMount {
  readonly mount: Mount;
  /** Canonical, from Connector.describe. */
  readonly place: string;
  /** Names of options that are secret. */
  readonly secrets: readonly string[];
}

interface Entry extends LiveMount {
  mount: Mount;
  store: UnderStore | undefined;
  opening: Promise<void> | undefined;
  failure: unknown;
}

export class MountTable implements StoreProvider {
  readonly #entries = new Map<MountId, Entry>();
  readonly #registry: StoreRegistry;
  readonly #log: Log;
  readonly #uploads: (mount: MountId) => UploadNotes;

  /** `uploads`: where the store of a mount notes its multipart uploads. */
  constructor(registry: StoreRegistry, log: Log, uploads: (mount: MountId) => UploadNotes) {
    this.#uploads = uploads;
    this.#registry = registry;
    this.#log = log;
  }

  /** Takes in the mounts of a metastore that was just opened. */
  async load(mounts: readonly Mount[]): Promise<void> {
    await Promise.all(mounts.map(async mount => {
      const described = await this.#registry.describe(mount.uri, mount.options).catch((error: unknown) => {
        this.#log.error('a mount cannot be understood', {path: toText(mount.path), uri: mount.uri, error: String(error)});
        return {place: mount.uri, secrets: Object.keys(mount.options)};
      });
      const entry: Entry = {mount, place: described.place, secrets: described.secrets, store: undefined, opening: undefined, failure: undefined};
      this.#entries.set(mount.id, entry);
      await this.#open(entry);
    }));
  }

  /** NotFound; Unavailable while the store cannot be opened. */
  get(id: MountId): UnderStore {
    const entry = this.#entry(id);
    if (entry.store) return entry.store;
    void this.#open(entry);
    throw new WeirError('Unavailable', `the store of ${toText(entry.mount.path)} (${entry.mount.uri}) could not be opened`, {cause: entry.failure});
  }

  has(id: MountId): boolean {
    return this.#entries.has(id);
  }

  /** True when `get` answers. */
  isOpen(id: MountId): boolean {
    return this.#entries.get(id)?.store !== undefined;
  }

  /** NotFound. */
  mount(id: MountId): Mount {
    return this.#entry(id).mount;
  }

  isOurs(id: MountId): boolean {
    return this.#entries.get(id)?.mount.freshness.kind === 'immutable';
  }

  /** Nothing can be written there: by its options, or by what its store can. */
  isReadOnly(id: MountId): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && (entry.mount.readOnly || entry.store?.capabilities.write === false);
  }

  /** ReadOnly when the mount or its store takes no writes. */
  writable(id: MountId): UnderStore {
    const {mount} = this.#entry(id);
    const store = this.get(id);
    if (mount.readOnly || !store.capabilities.write) throw new WeirError('ReadOnly', `${toText(mount.path)} is mounted read-only`);
    return store;
  }

  at(path: Mount['path']): LiveMount | undefined {
    for (const entry of this.#entries.values()) if (entry.mount.path === path) return entry;
    return undefined;
  }

  *[Symbol.iterator](): IterableIterator<LiveMount> {
    yield* this.#entries.values();
  }

  /** AlreadyExists when the place overlaps that of a mount other than `except`. */
  checkPlace(place: string, except?: MountId): void {
    checkPlace(place, [...this.#entries.values()].filter(entry => entry.mount.id !== except));
  }

  /** A store for a mount that may not be in the table yet; the caller's to close, or to `set`. */
  open(id: MountId, uri: string, options: Readonly<Record<string, string>>): Promise<UnderStore> {
    return this.#registry.open(uri, options, this.#uploads(id));
  }

  /** Enters or replaces a mount; answers the store that it had before, for the caller to close. */
  set(live: LiveMount, store: UnderStore): UnderStore | undefined {
    const before = this.#entries.get(live.mount.id)?.store;
    this.#entries.set(live.mount.id, {...live, store, opening: undefined, failure: undefined});
    return before === store ? undefined : before;
  }

  /** Keeps the open store. */
  setRecord(mount: Mount): void {
    this.#entry(mount.id).mount = mount;
  }

  delete(id: MountId): UnderStore | undefined {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    return entry?.store;
  }

  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const entry of entries) {
      await entry.opening;
      await entry.store?.close();
    }
  }

  #entry(id: MountId): Entry {
    const entry = this.#entries.get(id);
    if (!entry) throw new WeirError('NotFound', `there is no mount ${id} (any more)`);
    return entry;
  }

  #open(entry: Entry): Promise<void> {
    entry.opening ??= this.open(entry.mount.id, entry.mount.uri, entry.mount.options).then(
      async store => {
        entry.opening = undefined;
        if (this.#entries.get(entry.mount.id) === entry) entry.store = store;
        else await store.close();
      },
      (error: unknown) => {
        entry.opening = undefined;
        entry.failure = error;
        this.#log.warn('a store could not be opened', {path: toText(entry.mount.path), uri: entry.mount.uri, error: String(error)});
      },
    );
    return entry.opening;
  }
}
