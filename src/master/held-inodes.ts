/**
 * Who has which inodes open. In memory: opening a file costs no commit. What must outlive the process is written in the
 * transaction in which a held file loses its last name (namespace/orphans.ts); after a start, orphans whose holders do not
 * come back go.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {inodeKey} from '#codec/namespace/keys.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {listOpenReplaced} from '#master/namespace/file-renames.ts';
import {locate} from '#master/namespace/locate.ts';
import {getOrphan, keepingHeld, listOrphans, reapOrphan} from '#master/namespace/orphans.ts';
import {infoOf, inodeAt, objectKeyOf} from '#master/namespace/place.ts';
import type {Following} from '#master/jobs/following.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Turns} from '#master/writes/turns.ts';
import type {Transaction} from '#metastore/metastore.ts';

/** Inodes times holders: 100 bytes each. */
const holdsMax = 1_000_000;
const orphansAtOnce = 100;
const nobody: readonly string[] = [];

interface Held {
  readonly holders: Set<string>;
  /** It had a name when it was held first, and none of its holders' changes was about to take the last one since: then it is no orphan. */
  named: boolean;
}

export interface HeldInodesServices {
  readonly transactions: Transactions;
  readonly following: Pick<Following, 'changes'>;
  readonly turns: Pick<Turns, 'acquire'>;
}

export class HeldInodes {
  readonly #transactions: Transactions;
  readonly #services: HeldInodesServices;
  readonly #held = new Map<InodeId, Held>();
  readonly #inodes = new Map<string, Set<InodeId>>();
  #holds = 0;

  constructor(services: HeldInodesServices) {
    const {transactions} = services;
    this.#services = services;
    this.#transactions = transactions;
    transactions.watch((tx, change) => (this.#held.size === 0 ? change(tx) : this.#watched(tx, change)));
  }

  #watched<T>(tx: Transaction, change: (tx: Transaction) => T): T {
    return keepingHeld(tx, id => {
      const held = this.#held.get(id);
      if (held) held.named = false;
      return held && [...held.holders];
    }, change);
  }

  isHeld(id: InodeId): boolean {
    return this.#held.has(id);
  }

  /** Who holds it beside that one. */
  othersOf(id: InodeId, holder: string | undefined): readonly string[] {
    const held = this.#held.get(id);
    if (!held || (held.holders.size === 1 && holder !== undefined && held.holders.has(holder))) return nobody;
    return Array.from(held.holders).filter(other => other !== holder);
  }

  heldBy(holder: string): readonly InodeId[] {
    return [...(this.#inodes.get(holder) ?? [])];
  }

  /** The inode, or orphan, is there. Again is harmless. Overloaded. */
  retain(id: InodeId, holder: string): void {
    this.#retain(id, holder, false);
  }

  /** The same, and what it is now. A change of its object that is under way is waited for: whether anybody has it open was asked already, and what is open is on its way to where it is kept. NotFound. */
  async hold(id: InodeId, holder: string, signal: AbortSignal): Promise<FileInfo> {
    const {turns} = this.#services;
    for (;;) {
      const at = this.#objectOf(id);
      if (!at || !this.isChanging(at.mount, at.key)) return this.#hold(id, holder);
      using _turn = await turns.acquire({mount: at.mount, keys: [at.key]}, signal);
      // It may have been renamed meanwhile, to where somebody else has the turn.
      if (this.#objectOf(id)?.key === at.key) return this.#hold(id, holder);
    }
  }

  #objectOf(id: InodeId): {readonly mount: MountId; readonly key: ByteString} | undefined {
    return this.#transactions.peek(reader => {
      const place = locate(reader, id)?.place;
      return place && {mount: place.mount, key: objectKeyOf(place, inodeAt(reader, place))};
    });
  }

  /** Whether the object of that key is being changed. */
  isChanging(mount: MountId, key: ByteString): boolean {
    return this.#services.following.changes(mount, key);
  }

  #hold(id: InodeId, holder: string): FileInfo {
    const info = this.#transactions.peek(reader => {
      const found = locate(reader, id);
      if (found) return infoOf(found.path, inodeAt(reader, found.place), found.place.mount);
      const orphan = getOrphan(reader, id);
      return orphan && infoOf('' as ByteString, orphan.inode, orphan.mount);
    });
    if (!info) throw new WeirError('NotFound', `inode ${id} has gone`);
    this.retain(id, holder);
    return info;
  }

  /** The same of an inode that has a name now. */
  retainNamed(id: InodeId, holder: string): void {
    this.#retain(id, holder, true);
  }

  #retain(id: InodeId, holder: string, named: boolean): void {
    const known = this.#held.get(id);
    if (known?.holders.has(holder)) return;
    if (this.#holds >= holdsMax) throw new WeirError('Overloaded', `${holdsMax} files are open`);
    this.#holds++;
    if (known) known.holders.add(holder);
    else this.#held.set(id, {holders: new Set([holder]), named});
    const inodes = this.#inodes.get(holder);
    if (inodes) inodes.add(id);
    else this.#inodes.set(holder, new Set([id]));
  }

  /** What is not held is fine. */
  async release(id: InodeId, holder: string): Promise<void> {
    if (!this.#letGo(id, holder)) return;
    if (this.#transactions.peek(reader => getOrphan(reader, id))) await this.#reap([id]);
  }

  /** Of what certainly has a name; otherwise false, and it is still held. */
  releaseNow(id: InodeId, holder: string): boolean {
    if (this.#held.get(id)?.named === false) return false;
    this.#letGo(id, holder);
    return true;
  }

  /** True when the last holder has let go. */
  #letGo(id: InodeId, holder: string): boolean {
    const held = this.#held.get(id);
    if (!held?.holders.delete(holder)) return false;
    this.#holds--;
    // Emptied sets stay for those who come: most holders open something again.
    this.#inodes.get(holder)!.delete(id);
    if (held.holders.size > 0) return false;
    return this.#held.delete(id);
  }

  /** The holder has exactly these open: for one that comes back after a restart, and (with none) for one that has ended. Inodes that have gone are left out. */
  async holds(holder: string, ids: ReadonlySet<InodeId>): Promise<void> {
    for (const id of ids) if (this.#transactions.peek(reader => reader.get(inodeKey(id)))) this.retain(id, holder);
    const others = Array.from(this.#inodes.get(holder) ?? []).filter(id => !ids.has(id));
    for (const id of others) await this.release(id, holder);
    if (this.#inodes.get(holder)?.size === 0) this.#inodes.delete(holder);
  }

  /** At start, before renames are settled: who may come back may have open what they replace. It says so itself later (`holds`). */
  retainReplaced(returning: ReadonlySet<string>): void {
    for (const id of this.#transactions.peek(listOpenReplaced)) for (const holder of returning) this.retain(id, holder);
  }

  /** At start: orphans go, but for those of holders that may come back; these hold them again from now on. */
  async cleanUp(returning: ReadonlySet<string>): Promise<void> {
    const lost: InodeId[] = [];
    for (const {id, holders} of this.#transactions.peek(listOrphans)) {
      const kept = holders.filter(holder => returning.has(holder));
      for (const holder of kept) this.retain(id, holder);
      if (kept.length === 0) lost.push(id);
    }
    for (let at = 0; at < lost.length; at += orphansAtOnce) await this.#reap(lost.slice(at, at + orphansAtOnce));
  }

  /** Inodes held times holders. */
  get count(): number {
    return this.#holds;
  }

  async #reap(ids: readonly InodeId[]): Promise<void> {
    await this.#transactions.changeOwn(tx => {
      for (const id of ids) reapOrphan(tx, id);
    });
  }
}
