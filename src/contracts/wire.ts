/**
 * The contracts as data: how each method behaves on a wire. `rpc/` makes stubs and servers of this; a method that is missing
 * here does not compile.
 *
 *   call     arguments → one value
 *   items    arguments → values, one after the other
 *   paced    the same, each when whoever asked has taken in the one before and asks for the next
 *   bytes    arguments → a stream of bytes
 *   body     arguments → a Body
 *   publish  arguments, among them the `ready` callback → one value; the other side asks back when it is ready
 *   writer   arguments → an object with write, finish, abort
 *
 * The CallContext is always the last argument; principal and signal do not travel: the server knows who is connected, and a
 * cancelled stream aborts the signal there.
 */
import type {DraftsApi} from '#contracts/drafts-api.ts';
import type {IdentityApi} from '#contracts/identity-api.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import type {MountsApi} from '#contracts/mounts-api.ts';
import type {WorkerApi} from '#contracts/worker-api.ts';

export type Shape = 'call' | 'items' | 'paced' | 'bytes' | 'body' | 'publish' | 'writer';
export type Wire<T> = {readonly [K in keyof T & string]: Shape};

/** What the other side of `publish` and `writer` sends to ask whether it may, followed by the write type when that is not the ticket's. */
export const readyQuestion = 'ready?';

/** Raised with every change of a contract that an older side would misunderstand. */
export const wireVersion = 2;

export const masterWire: Wire<MasterApi> = {
  stat: 'call',
  pathOf: 'call',
  statInode: 'call',
  lookup: 'call',
  watch: 'paced',
  retain: 'call',
  earlier: 'call',
  release: 'call',
  sync: 'call',
  reserveInode: 'call',
  lock: 'call',
  testLock: 'call',
  hold: 'call',
  open: 'call',
  observe: 'call',
  contentChanged: 'call',
  list: 'call',
  makeDirectory: 'call',
  makeSymlink: 'call',
  makeSpecial: 'call',
  setAttributes: 'call',
  setLock: 'call',
  getSettings: 'call',
  setSetting: 'call',
  rename: 'call',
  link: 'call',
  remove: 'call',
  listVersions: 'call',
  beginWrite: 'call',
  prepareCommit: 'call',
  commitWrite: 'call',
  abandonWrite: 'call',
  makeFile: 'call',
  beginSeal: 'call',
  commitSeal: 'call',
  abandonSeal: 'call',
  listPending: 'call',
  persist: 'call',
  createUpload: 'call',
  getUpload: 'call',
  putPart: 'call',
  listParts: 'call',
  listUploads: 'call',
  beginCompleteUpload: 'call',
  removeUpload: 'call',
  mount: 'call',
  updateMount: 'call',
  unmount: 'call',
  listMounts: 'call',
  refresh: 'call',
  explain: 'call',
  listJobs: 'call',
  cancelJob: 'call',
  usage: 'call',
  quota: 'call',
  roomOf: 'call',
  listWebhooks: 'call',
  putWebhook: 'call',
  removeWebhook: 'call',
  backup: 'bytes',
};

export const identityWire: Wire<IdentityApi> = {
  listUsers: 'call',
  addUser: 'call',
  updateUser: 'call',
  removeUser: 'call',
  listKeys: 'call',
  addKey: 'call',
  updateKey: 'call',
  removeKey: 'call',
  listGroups: 'call',
  addGroup: 'call',
  setMember: 'call',
  removeGroup: 'call',
  listPolicies: 'call',
  putPolicy: 'call',
  removePolicy: 'call',
  attachPolicy: 'call',
  putInlinePolicy: 'call',
  getInlinePolicy: 'call',
};

export const workerWire: Wire<WorkerApi> = {
  read: 'body',
  probe: 'call',
  write: 'writer',
  copy: 'publish',
  createUpload: 'call',
  uploadPart: 'writer',
  completeUpload: 'publish',
  abortUpload: 'call',
  dropPart: 'call',
  settleUpload: 'call',
  load: 'items',
  free: 'call',
  pin: 'call',
  locate: 'call',
  status: 'call',
};

export const mountsWire: Wire<MountsApi> = {
  serve: 'items',
  unmount: 'call',
  listServed: 'call',
};

export const draftsWire: Wire<DraftsApi> = {
  open: 'call',
  join: 'call',
  handOver: 'call',
  state: 'call',
  touch: 'call',
  read: 'call',
  write: 'call',
  truncate: 'call',
  punch: 'call',
  seek: 'call',
  sync: 'call',
  publish: 'call',
  publishAs: 'call',
  close: 'call',
};
