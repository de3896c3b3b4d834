/**
 * All of identity in memory, as it is in the metastore: read once, then changed with every commit. Small (a user is some hundred bytes), and
 * asked on every request.
 */
import type {ByteString} from '#base/byte-string.ts';
import {
  decodeAccessKey, decodeGroup, decodePolicy, decodeUser, encodeAccessKey, encodeGroup, encodePolicy, encodeUser, type GroupRecord, type KeyRecord, type PolicyRecord, type UserRecord,
} from '#codec/namespace/identity-record.ts';
import {identityKey, identityTable, nameOfIdentityKey} from '#codec/namespace/keys.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';

export interface IdentityTables {
  user: UserRecord;
  key: KeyRecord;
  group: GroupRecord;
  policy: PolicyRecord;
}

/** A record to write; null: to delete. */
export type Change = {readonly [K in keyof IdentityTables]: {readonly table: K; readonly name: string; readonly value: IdentityTables[K] | null}}[keyof IdentityTables];

/** The state as it is asked. */
export type IdentityView = Pick<IdentityState, keyof IdentityTables | 'revision'>;

export class IdentityState {
  readonly user = new Map<string, UserRecord>();
  readonly key = new Map<string, KeyRecord>();
  readonly group = new Map<string, GroupRecord>();
  readonly policy = new Map<string, PolicyRecord>();
  /** Grows with every change. */
  revision = 0;

  static read(reader: Reader): IdentityState {
    const state = new IdentityState();
    const fill = <K extends keyof IdentityTables>(table: K, into: Map<string, IdentityTables[K]>, decode: (record: Uint8Array) => IdentityTables[K]) => {
      for (const {key, value} of reader.range(identityTable(table))) into.set(nameOfIdentityKey(key), decode(value));
    };
    fill('user', state.user, decodeUser);
    fill('key', state.key, decodeAccessKey);
    fill('group', state.group, decodeGroup);
    fill('policy', state.policy, decodePolicy);
    return state;
  }

  /** All of it, as changes that make it from nothing. */
  all(): Change[] {
    const of = <K extends keyof IdentityTables>(table: K) => Array.from(this[table] as Map<string, IdentityTables[K]>, ([name, value]) => ({table, name, value}) as unknown as Change);
    return [...of('user'), ...of('key'), ...of('group'), ...of('policy')];
  }

  /** After the changes have been committed. */
  apply(changes: readonly Change[]): void {
    this.revision++;
    for (const {table, name, value} of changes) {
      const records = this[table] as Map<string, IdentityTables[typeof table]>;
      if (value === null) records.delete(name);
      else records.set(name, value);
    }
  }
}

export function writeChanges(tx: Transaction, changes: readonly Change[]): void {
  for (const change of changes) {
    const key: ByteString = identityKey(change.table, change.name);
    if (change.value === null) tx.delete(key);
    else tx.put(key, encode(change));
  }
}

function encode(change: Change): Uint8Array {
  switch (change.table) {
    case 'user': return encodeUser(change.value!);
    case 'key': return encodeAccessKey(change.value!);
    case 'group': return encodeGroup(change.value!);
    case 'policy': return encodePolicy(change.value!);
  }
}
