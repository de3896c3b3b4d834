/**
 * Inventories of a bucket ("Amazon S3 Inventory", S3 User Guide): lists of its objects, written into another bucket from time to time. A
 * configuration is a setting of the bucket's directory, one each, so that two that are set at once do not lose one.
 */
import {WeirError} from '#base/errors.ts';
import type {Settings} from '#model/inode.ts';

/** In the order in which they stand in a report. */
export const inventoryFields = [
  'Size', 'LastModifiedDate', 'StorageClass', 'ETag', 'IsMultipartUploaded', 'ReplicationStatus', 'EncryptionStatus', 'ObjectLockRetainUntilDate', 'ObjectLockMode', 'ObjectLockLegalHoldStatus',
  'IntelligentTieringAccessTier', 'BucketKeyStatus', 'ChecksumAlgorithm',
] as const;

export type InventoryField = (typeof inventoryFields)[number];

export interface Inventory {
  readonly id: string;
  readonly enabled: boolean;
  /** Name of the bucket that reports are written to. */
  readonly destination: string;
  readonly destinationPrefix?: string;
  /** Kept and given back. */
  readonly accountId?: string;
  /** Reports are asked to be encrypted by the store behind (SSE-S3). */
  readonly encrypted?: true;
  /** Only keys that begin with it. */
  readonly prefix?: string;
  readonly versions: 'All' | 'Current';
  readonly frequency: 'Daily' | 'Weekly';
  readonly fields: readonly InventoryField[];
}

export const inventoryIdPattern = /^[A-Za-z0-9._-]{1,64}$/;

const settingPrefix = 'inventory-';
const runPrefix = 'inventory-run-';

/** Setting names have no capitals and are short, so a hash of the id (hexadecimal digits) stands in them. */
export const inventorySetting = (hash: string): string => `${settingPrefix}${hash}`;
/** When its last report was begun, wall ms. */
export const inventoryRunSetting = (hash: string): string => `${runPrefix}${hash}`;

/** By id. Corrupt. */
export function inventoriesOf(settings: Settings): Inventory[] {
  const found = Object.entries(settings).filter(([name]) => name.startsWith(settingPrefix) && !name.startsWith(runPrefix)).map(([, text]) => parseInventory(text));
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** As written by the front end that checked it. Corrupt. */
export function parseInventory(text: string): Inventory {
  try {
    const inventory: unknown = JSON.parse(text);
    if (typeof inventory === 'object' && inventory !== null && 'id' in inventory) return inventory as Inventory;
  } catch {
    // Told below.
  }
  throw new WeirError('Corrupt', 'an inventory configuration cannot be read');
}

const dayMs = 86_400_000;

/** Whether a report is due that was last begun at `lastMs` (wall ms). */
export function isDue({enabled, frequency}: Inventory, lastMs: number | undefined, nowMs: number): boolean {
  return enabled && (lastMs === undefined || nowMs - lastMs >= (frequency === 'Daily' ? dayMs : 7 * dayMs));
}
