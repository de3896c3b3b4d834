/** Changes of what the namespace alone keeps of what is there: attributes, locks of versions, settings of directories. One transaction each, of what is fresh. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {LockChange} from '#contracts/master-api.ts';
import type {Events} from '#master/events/events.ts';
import type {Loader} from '#master/loader/loader.ts';
import type {Lookups} from '#master/loader/lookups.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import {setAttributes, setAttributesAt} from '#master/namespace/set-attributes.ts';
import {setLock} from '#master/namespace/set-lock.ts';
import {quotaSetting, readSettings, setSetting} from '#master/namespace/settings.ts';
import type {Quotas} from '#master/quotas.ts';
import type {Transactions} from '#master/transactions.ts';
import type {AttributePatch, Inode, Settings} from '#model/inode.ts';
import {parsePath, type Path, type PathKind} from '#model/path.ts';

export interface AttributeServices {
  readonly transactions: Transactions;
  readonly loader: Loader;
  readonly lookups: Lookups;
  readonly events: Pick<Events, 'setting'>;
  readonly quotas: Quotas;
}

export class Attributes {
  readonly #services: AttributeServices;

  constructor(services: AttributeServices) {
    this.#services = services;
  }

  async set(text: ByteString, patch: AttributePatch, {kind, version}: PathOptions, context: CallContext): Promise<FileInfo> {
    const path = await this.#fresh(text, kind, context);
    return await this.#services.transactions.change(context, (tx, op) => setAttributes(tx, op, path, patch, version));
  }

  /** On the spot and safe, for a mount, whose kernel has checked who may look for it; undefined where it must wait. */
  setNow(inode: InodeId, patchOf: (inode: Inode) => AttributePatch | undefined, context: CallContext): FileInfo | undefined {
    const {lookups, transactions} = this.#services;
    const known = context.origin === undefined || !isUnchecked(context.principal) ? undefined : lookups.foundNow(inode);
    const patch = known && patchOf(known.info.inode);
    if (!patch) return undefined;
    const commit = transactions.changeNow(context, (tx, op) => setAttributesAt(tx, op, known.where, known.info, patch));
    return transactions.isSafe(commit) ? commit.result : undefined;
  }

  async setLock(text: ByteString, change: LockChange, {version}: PathOptions, context: CallContext): Promise<FileInfo> {
    const path = await this.#fresh(text, 'file', context);
    return await this.#services.transactions.change(context, (tx, op) => setLock(tx, op, path, change, version));
  }

  async settings(text: ByteString, context: CallContext): Promise<{readonly revision: number; readonly settings: Settings}> {
    const path = await this.#fresh(text, 'directory', context);
    return await this.#services.transactions.read(reader => readSettings(reader, path, context.principal));
  }

  async setSetting(text: ByteString, name: string, value: string | null, context: CallContext): Promise<FileInfo> {
    const {transactions, events, quotas} = this.#services;
    const path = await this.#fresh(text, 'directory', context);
    events.setting(name);
    const change = transactions.change(context, (tx, op) => setSetting(tx, op, path, name, value));
    if (name === quotaSetting) quotas.load();
    return await change;
  }

  async #fresh(text: ByteString, kind: PathKind | undefined, {signal}: CallContext): Promise<Path> {
    const {loader, transactions} = this.#services;
    const path = parsePath(text, kind);
    await loader.freshen(path, {askedAt: transactions.now(), signal});
    return path;
  }
}
