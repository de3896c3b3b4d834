/**
 * Tells of the files of renamed trees, behind the rename, which touches none of them: a page at a time, each with the place that it has come
 * to, in one transaction. Trees are told of in the order of their renames. What happens to a file in the meantime is told when it
 * happens: one that goes before its turn was never told to have come.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {decodeRenamedTree, encodeRenamedTree, type RenamedTree} from '#codec/namespace/event-record.ts';
import {renamedTreeTable} from '#codec/namespace/keys.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {BucketEvents} from '#master/events/bucket-events.ts';
import {listPlace} from '#master/namespace/list.ts';
import {locate} from '#master/namespace/locate.ts';
import type {Operation} from '#master/namespace/operation.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import {parsePath} from '#model/path.ts';
import type {Runtime} from '#runtime/runtime.ts';

const filesAtOnce = 200;
const idsAtOnce = 2 * filesAtOnce + 16;

export interface RenamedTreesServices {
  readonly transactions: Transactions;
  readonly events: BucketEvents;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'crashPoint'>;
}

export class RenamedTrees {
  readonly #services: RenamedTreesServices;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #wanted = false;

  constructor(services: RenamedTreesServices) {
    this.#services = services;
  }

  /** Goes on with what an earlier life has left. */
  start(): void {
    if (this.#services.transactions.peek(first)) this.#go();
  }

  /** After every commit. */
  soon(): void {
    if (this.#services.events.takeRenamed()) this.#go();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  #go(): void {
    this.#wanted = true;
    if (!this.#stop.signal.aborted) this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    const {transactions, runtime} = this.#services;
    try {
      while (this.#wanted) {
        this.#wanted = false;
        // Not in the turn of the rename: it has to be answered.
        await runtime.clock.yield();
        while (!this.#stop.signal.aborted && (await transactions.changeOwn(tell, idsAtOnce))) {
          runtime.crashPoint('master.events.treeTold');
          await runtime.clock.yield();
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) runtime.log.error('renamed trees are not told of any more', {error});
    } finally {
      this.#running = undefined;
    }
  }
}

function first(reader: Reader): {readonly key: ByteString; readonly tree: RenamedTree} | undefined {
  for (const {key, value} of reader.range({...renamedTreeTable, limit: 1})) return {key, tree: decodeRenamedTree(value)};
  return undefined;
}

/** The next page of the oldest; false when there is none. */
function tell(tx: Transaction, own: Operation): boolean {
  const found = first(tx);
  if (!found) return false;
  const {key, tree} = found;
  const there = locate(tx, tree.inode);
  const page = there ? listPlace(tx, there.place, there.path, {view: 'keys', limit: filesAtOnce, ...(tree.after === '' ? {} : {after: tree.after})}) : {entries: []};
  const {principal: name, remote, requestId: trace} = tree;
  const context: CallContext = {...systemContext, principal: {name, uid: 0, gids: []}, remote, trace};
  const op: Operation = {...own, context};
  for (const entry of page.entries) {
    if (!('info' in entry) || !entry.info.inode.content) continue;
    const {inode} = entry.info;
    const about = (tops: InodeId | 0, path: ByteString) => ({names: parsePath((path + entry.key) as ByteString, 'either').names, marker: inode.kind === 'directory', top: tops === 0 ? undefined : tops});
    own.events?.note(tx, op, {name: 'ObjectRemoved:Delete', ...about(tree.fromTop, tree.from)});
    own.events?.note(tx, op, {name: 'ObjectCreated:Copy', ...about(tree.toTop, tree.to), inode});
  }
  if (page.next === undefined) tx.delete(key);
  else tx.put(key, encodeRenamedTree({...tree, after: page.next}));
  return true;
}
