/**
 * Mounting, changing and unmounting while everything runs. A mount is accepted when its options are understood, its place
 * overlaps no other's, its path is free, and its store has answered a listing. Secrets never leave the metastore: what is
 * answered is masked.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {MountId} from '#base/ids.ts';
import type {MountRequest} from '#contracts/administration.ts';
import type {CallContext} from '#contracts/context.ts';
import type {Beliefs} from '#master/freshness/beliefs.ts';
import type {Coverage} from '#master/freshness/coverage.ts';
import type {Jobs} from '#master/jobs/jobs.ts';
import type {Loader} from '#master/loader/loader.ts';
import type {LiveMount, MountTable} from '#master/mounts/mount-table.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import {addMount, initialiseNamespace, listMounts, refuseMountsIn, removeMount, updateMount} from '#master/namespace/mounts.ts';
import {rootMountId} from '#master/namespace/place.ts';
import {resolve, storeKeyOfPath} from '#master/namespace/resolve.ts';
import type {Persister} from '#master/persist/persister.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Turns} from '#master/writes/turns.ts';
import {defaultFreshness, maskOptions, type Mount} from '#model/mount.ts';
import {formatPath, parsePath} from '#model/path.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';
import type {UnderStore} from '#understore/under-store.ts';

export interface MountingServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly registry: StoreRegistry;
  readonly loader: Loader;
  readonly beliefs: Beliefs;
  readonly coverage: Coverage;
  readonly jobs: Jobs;
  readonly turns: Turns;
  readonly persister: Persister;
}

/** The mount of `/`, made when an instance starts for the first time. */
export type RootMount = Pick<MountRequest, 'uri' | 'options' | 'readOnly' | 'freshness' | 'writeType'>;

export class Mounting {
  readonly #services: MountingServices;
  /** Mounts are made and changed one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(services: MountingServices) {
    this.#services = services;
  }

  /** Opens the mounts of the metastore; the first time, makes the root's. */
  async open(root: RootMount): Promise<void> {
    const {transactions, mounts} = this.#services;
    const now = transactions.now();
    await transactions.changeOwn((tx, op) => initialiseNamespace(tx, op, {
      id: rootMountId, path: '/' as ByteString, uri: root.uri, options: root.options, readOnly: root.readOnly ?? false, freshness: root.freshness ?? {kind: 'immutable'},
      ...(root.writeType === undefined ? {} : {writeType: root.writeType}), createdAt: now,
    }));
    await mounts.load(transactions.peek(listMounts));
  }

  /** With secrets masked. */
  list(): Mount[] {
    return Array.from(this.#services.mounts, masked).sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async mount(request: MountRequest, context: CallContext): Promise<Mount> {
    mayMount(context);
    return await this.#alone(async () => {
      const {transactions, mounts, registry, loader} = this.#services;
      const {names} = parsePath(request.path, 'directory');
      const path = formatPath({names, kind: 'directory'});
      const {place, secrets} = await registry.describe(request.uri, request.options);
      mounts.checkPlace(place);
      await loader.freshen({names, kind: 'either'}, {askedAt: transactions.now(), signal: context.signal});
      transactions.ids.ensure(transactions.metastore);
      const id = transactions.ids.next<MountId>();
      const store = await this.#openTested(id, request.uri, request.options, context.signal);
      try {
        const mount: Mount = {
          id, path, uri: request.uri, options: request.options, readOnly: request.readOnly ?? !store.capabilities.write,
          freshness: request.freshness ?? defaultFreshness, ...(request.writeType === undefined ? {} : {writeType: request.writeType}), createdAt: transactions.now(),
        };
        // In the table before it is in the namespace: nobody may meet a mount that has no store.
        mounts.set({mount, place, secrets}, store);
        try {
          await transactions.change({...context, principal: context.principal}, (tx, op) => void addMount(tx, op, mount));
        } catch (error) {
          mounts.delete(mount.id);
          throw error;
        }
        return masked({mount, secrets});
      } catch (error) {
        await store.close();
        throw error;
      }
    });
  }

  /** NotFound, InvalidArgument, AlreadyExists (the new options' place overlaps another mount's). */
  async update(path: ByteString, change: Partial<Omit<MountRequest, 'path' | 'uri'>>, context: CallContext): Promise<Mount> {
    mayMount(context);
    return await this.#alone(async () => {
      const {transactions, mounts, registry} = this.#services;
      const live = this.#at(path);
      const options = change.options === undefined ? live.mount.options : unmasked(change.options, live.mount.options);
      const mount: Mount = {
        ...live.mount, options, readOnly: change.readOnly ?? live.mount.readOnly, freshness: change.freshness ?? live.mount.freshness, ...(change.writeType === undefined ? {} : {writeType: change.writeType}),
      };
      if (change.options === undefined) {
        await transactions.change(context, tx => {
          updateMount(tx, mount);
        });
        mounts.setRecord(mount);
        return masked({...live, mount});
      }
      const described = await registry.describe(mount.uri, options);
      mounts.checkPlace(described.place, mount.id);
      const store = await this.#openTested(mount.id, mount.uri, options, context.signal);
      await transactions.change(context, tx => {
        updateMount(tx, mount);
      });
      const before = mounts.set({mount, place: described.place, secrets: described.secrets}, store);
      if (described.place !== live.place) this.forget(mount.id, '' as ByteString);
      await before?.close();
      return masked({mount, secrets: described.secrets});
    });
  }

  async unmount(path: ByteString, context: CallContext): Promise<void> {
    mayMount(context);
    await this.#alone(async () => {
      const {transactions, mounts, turns, jobs, persister} = this.#services;
      const {mount} = this.#at(path);
      if (mount.id === rootMountId) throw new WeirError('Busy', 'the root cannot be unmounted');
      // A write that the store is finishing is published first.
      using _turn = await turns.acquire({mount: mount.id, trees: ['' as ByteString]}, context.signal);
      const pending = persister.countOf(mount.id);
      if (pending > 0) throw new WeirError('Busy', `${pending} files below ${toText(mount.path)} are not in their store yet; "weir persist ${toText(mount.path)} --wait" waits for them`);
      const {result, durable} = transactions.changeNow(context, (tx, op) => {
        for (const inner of listMounts(tx)) if (inner.id !== mount.id && inner.path.startsWith(mount.path)) refuseMountsIn(tx, inner.path);
        return removeMount(tx, op, mount.id);
      });
      const store = mounts.delete(mount.id);
      this.forget(mount.id, '' as ByteString);
      jobs.startRemoval(result);
      await durable;
      await store?.close();
    });
  }

  /** What is known of the path, and of all below it, is asked for anew. */
  async refresh(text: ByteString, {principal}: Pick<CallContext, 'principal'>): Promise<void> {
    const {transactions, mounts} = this.#services;
    const {names, kind} = parsePath(text);
    const kinds = (['file', 'directory'] as const).filter(each => kind === 'either' || kind === each);
    const places = await transactions.read(reader => kinds.map(each => {
      const resolution = resolve(reader, {names, kind: each}, principal);
      return {mount: (resolution.place ?? resolution.parent).mount, key: storeKeyOfPath(resolution)};
    }));
    for (const {mount, key} of places) this.forget(mount, key);
    // Mounts further down are below the path too.
    const directory = formatPath({names, kind: 'directory'});
    for (const {mount} of mounts) if (mount.path.startsWith(directory)) this.forget(mount.id, '' as ByteString);
  }

  /** Nothing that was learned about keys with this prefix is believed any more. */
  forget(mount: MountId, prefix: ByteString): void {
    const {beliefs, coverage, transactions} = this.#services;
    beliefs.forget(mount, prefix, transactions.now());
    coverage.drop(mount, prefix);
  }

  /** A tree of which not all is known lies at `prefix` (it ends in `/`) now: what its store said of keys there before was about another. */
  arrived(mount: MountId, prefix: ByteString): void {
    const {beliefs, coverage, transactions} = this.#services;
    beliefs.arrived(mount, prefix, transactions.now());
    coverage.cut(mount, prefix);
  }

  #at(text: ByteString): LiveMount {
    const live = this.#services.mounts.at(formatPath({names: parsePath(text, 'directory').names, kind: 'directory'}));
    if (!live) throw new WeirError('NotFound', `${toText(text)} is not a mount point`);
    return live;
  }

  async #openTested(id: MountId, uri: string, options: Readonly<Record<string, string>>, signal: AbortSignal): Promise<UnderStore> {
    const store = await this.#services.mounts.open(id, uri, options);
    try {
      await store.list({prefix: '' as ByteString, delimiter: true, limit: 1}, {signal});
      return store;
    } catch (error) {
      await store.close();
      if (isKind(error, 'Cancelled', 'InvalidArgument', 'PermissionDenied')) throw error;
      throw new WeirError('Unavailable', `${uri} does not answer a listing: ${error instanceof Error ? error.message : String(error)}`, {cause: error});
    }
  }

  async #alone<T>(fn: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const mine = before.then(fn, fn);
    this.#last = mine.catch(() => undefined);
    return await mine;
  }
}

function mayMount({principal}: CallContext): void {
  if (!isUnchecked(principal)) throw new WeirError('PermissionDenied', `${principal.name} may not change mounts`);
}

const mask = '******';

function masked({mount, secrets}: Pick<LiveMount, 'mount' | 'secrets'>): Mount {
  const options = maskOptions(mount.options);
  for (const name of secrets) if (name in options) options[name] = mask;
  return {...mount, options};
}

/** A secret that comes back as it was shown means the one that is there. */
function unmasked(options: Readonly<Record<string, string>>, before: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, value === mask ? (before[name] ?? value) : value]));
}
