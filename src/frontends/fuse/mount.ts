/**
 * A mount: agrees with the kernel at INIT, lets one operation answer each request, and says what went wrong as errno. Requests run beside
 * each other; one whose program was killed meanwhile (INTERRUPT) is aborted.
 */
import {WeirError} from '#base/errors.ts';
import type {Foreground} from '#base/foreground.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileDraft, FileSystem} from '#client/file-system.ts';
import {initFlag, type InitFlag, notification, protocol, resentBit} from '#codec/fuse/abi.ts';
import {errno} from '#codec/fuse/errno.ts';
import {initBody, replyHead} from '#codec/fuse/reply.ts';
import {decodeRequest, type FuseBody, type FuseHead} from '#codec/fuse/request.ts';
import {type CallContext, rootPrincipal, systemContext} from '#contracts/context.ts';
import type {SealOptions} from '#contracts/writing.ts';
import {endDraft} from '#frontends/fuse/drafting.ts';
import {Errno, errnoOf} from '#frontends/fuse/failure.ts';
import type {ShownAs} from '#frontends/fuse/attributes.ts';
import {releaseNow} from '#frontends/fuse/files.ts';
import {Handles, isWritable} from '#frontends/fuse/handles.ts';
import {answeredAgain, answersNow, changes, madeOnce, namesChange, operationOf} from '#frontends/fuse/operations.ts';
import {followChanges} from '#frontends/fuse/follow-changes.ts';
import {KeptState} from '#frontends/fuse/kept-state.ts';
import {MountLocks} from '#frontends/fuse/mount-locks.ts';
import {nodeNumbers} from '#frontends/fuse/node-numbers.ts';
import {prune} from '#frontends/fuse/prune.ts';
import {OwnRenames} from '#frontends/fuse/own-renames.ts';
import {Remembered} from '#frontends/fuse/remembered.ts';
import {HeldNames} from '#frontends/fuse/held-names.ts';
import {SecondAsks} from '#frontends/fuse/second-asks.ts';
import {Rooms} from '#frontends/fuse/rooms.ts';
import {type Answer, type BodyOf, firstUnique, isResent, type MountServices, type OperationName, type OperationNow} from '#frontends/fuse/request.ts';
import {type LeftMount, takeOver} from '#frontends/fuse/take-over.ts';
import type {FuseDevice} from '#runtime/fuse.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface MountOptions {
  readonly files: FileSystem;
  readonly device: FuseDevice;
  /** What is mounted: a directory. Of a mount that is gone on with, what was. */
  readonly root: InodeId;
  readonly readOnly: boolean;
  /** Whether files may be handed to the kernel. */
  readonly passthrough: boolean;
  /** Locks hold between all mounts that say so; else among the programs of this one. */
  readonly sharedLocks: boolean;
  readonly shownAs: Omit<ShownAs, 'root'>;
  /** Where requests are counted. */
  readonly foreground?: Foreground | undefined;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'random'>;
}

/** Of a mount that an earlier daemon has left. */
export interface LeftToServe {
  readonly left: LeftMount;
  /** What it was writing, or others write of what it has open (DraftSource.handOverDrafts). */
  readonly drafts: readonly FileDraft[];
  /** Drafts of others that are being recovered: who changes one of these files waits. */
  readonly recovering: {readonly inodes: readonly InodeId[]; readonly done: Promise<void>};
}

/** Not atomicOpenTruncate: the kernel empties a file that is being executed before it finds out that it may not (ETXTBSY). */
const wanted: readonly InitFlag[] = [
  'asyncRead', 'bigWrites', 'parallelDirectoryOperations', 'readdirplus', 'readdirplusAuto', 'asyncDirectIo', 'abortError', 'maxPages', 'cacheSymlinks', 'initExtended', 'passthrough',
  'dontMask', 'posixAcl', 'setxattrExtended', 'handleKillPrivileges', 'hasResend',
];
/** What the kernel may read ahead (it takes the least of what it hears) and keep in flight by itself. */
const readAheadBytes = 1024 * 1024;
const backgroundRequests = 64;

/** What the kernel asks for in one READ at most: as many pages as it is told at INIT that a message has. */
const readBytesMax = 1024 * 1024;

/** How long a program that was killed may wait for a store that hangs, beyond. */
const killedPollMs = 200;
/** What is under way when the mount is left to the next daemon; what takes longer is done again by that one. */
const settleMsMax = 5_000;
const settlePollMs = 5;

const sharingLocks: readonly InitFlag[] = ['posixLocks', 'flockLocks'];

interface Running {
  /** Of the program, that waits for the answer. */
  readonly thread: number;
  /** Any signal ends it. */
  readonly interruptible: boolean;
  readonly abort: AbortController;
}

export class Mount implements AsyncDisposable {
  readonly #options: Omit<MountOptions, 'root'>;
  readonly #handles: Handles;
  readonly #ended = Promise.withResolvers<void>();
  /** Requests under way; undefined: that cannot be interrupted. */
  readonly #running = new Map<bigint, Running | undefined>();
  readonly #following = new AbortController();
  readonly #requests = new Map<OperationName, number>();
  /** RELEASEs that were read in this turn. */
  readonly #released: {readonly head: FuseHead; readonly body: BodyOf<'release'>}[] = [];
  /** Agreed on at INIT. */
  #setxattrExtended: boolean;
  #services: MountServices;
  #left = false;
  #abandoned = false;
  #pruning = false;
  /** Of what the kernel sends again, nothing is to come any more. */
  #allCame: boolean;

  private constructor(options: Omit<MountOptions, 'root'>, kept: KeptState, inherited: boolean) {
    const {device, files, readOnly, runtime} = options;
    this.#options = options;
    this.#allCame = !inherited;
    this.#handles = new Handles(device, kept);
    this.#setxattrExtended = agreedOn(kept.flags, 'setxattrExtended');
    const remembered = new Remembered(() => runtime.clock.steadyMs(), {root: kept.root, inherited});
    remembered.minor = kept.minor;
    this.#services = {
      files, device, handles: this.#handles, passthrough: options.passthrough && agreedOn(kept.flags, 'passthrough'), readOnly, writing: asMounted,
      room: Buffer.alloc(readBytesMax), rooms: new Rooms(Math.max(readBytesMax, device.writeBytesMax)), clock: runtime.clock, log: runtime.log,
      remembered, renames: new OwnRenames(() => runtime.clock.steadyMs()), secondAsks: new SecondAsks(),
      heldNames: new HeldNames({files, handles: this.#handles, clock: runtime.clock, origin: kept.origin, log: runtime.log}), numbered: nodeNumbers(kept.root), origin: kept.origin,
      kept, context: {...systemContext, origin: kept.origin, moment: 'safe'},
      shownAs: {...options.shownAs, ...(device.user ? {root: device.user} : {})}, ...(options.sharedLocks ? {locks: new MountLocks(kept)} : {}),
    };
  }

  /** Serves a new mount. */
  static begin(options: MountOptions): Mount {
    const {device, runtime} = options;
    const mount = new Mount(options, KeptState.begin(device.kept, `mount-${runtime.random.id()}`, options.root), false);
    mount.#start();
    return mount;
  }

  /** Serves a mount that an earlier daemon has left: what is open stays open, and what was not answered is answered. */
  static async goOn(options: Omit<MountOptions, 'root'>, {left, drafts, recovering}: LeftToServe): Promise<Mount> {
    const {device, runtime} = options;
    const mount = new Mount(options, left.kept, true);
    const context = {...systemContext, origin: mount.#services.origin};
    await takeOver(mount.#services, left, drafts, context);
    for (const inode of recovering.inodes) void mount.#handles.ending(inode, recovering.done);
    // Before anything is read: what this process has in hand must not come again.
    await device.notify(notification.resend, new Uint8Array(0));
    mount.#start();
    mount.#follow();
    // What changed just before the end may not have been told.
    void device.notify(notification.nextEpoch, new Uint8Array(0));
    runtime.log.info('fuse: going on with a mount', {open: mount.#handles.count, drafts: drafts.length});
    return mount;
  }

  #start(): void {
    this.#options.device.start(message => this.#receive(message), failure => void this.#end(failure));
  }

  #follow(): void {
    void followChanges({...this.#services, clock: this.#options.runtime.clock}, {...systemContext, signal: this.#following.signal});
  }

  /** Names it to the master (CallContext.origin). */
  get origin(): string {
    return this.#services.origin;
  }

  /** Resolves when the mount has gone, by whomever. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Files and directories that are open. */
  get openCount(): number {
    return this.#handles.count;
  }

  /** Files and directories that the kernel remembers. */
  get nodeCount(): number {
    return this.#services.remembered.count;
  }

  /** How many requests of the kernel there were, by operation. */
  get requests(): ReadonlyMap<OperationName, number> {
    return this.#requests;
  }

  /** The next daemon can go on with it. */
  get isKept(): boolean {
    return this.#options.device.kept !== undefined && agreedOn(this.#services.kept.flags, 'hasResend');
  }

  /** Of one that is kept and has lost those whom it asks: nothing is answered any more, and what fails has not been tried. Then `leave`. */
  abandon(): void {
    this.#abandoned = true;
    this.#following.abort();
  }

  /** Leaves the mount as it is to the next daemon, where it is kept; whoever uses it waits for that one. */
  async leave(): Promise<void> {
    const {device, runtime} = this.#options;
    if (!device.kept) return;
    const settled = async (): Promise<void> => {
      for (const until = runtime.clock.monotonicMs() + settleMsMax; this.#running.size > 0 && runtime.clock.monotonicMs() < until; ) await runtime.clock.sleep(settlePollMs);
    };
    await device.leave(settled());
    this.#left = true;
    // Nobody is told that anything is not open any more: the master, too, must find it held by the next daemon.
    this.#ended.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left) return;
    await this.#options.device[Symbol.asyncDispose]();
    await this.#ended.promise;
  }

  async #end(failure: Error | undefined): Promise<void> {
    if (failure) this.#options.runtime.log.error('fuse: the mount failed', {error: failure});
    this.#following.abort();
    for (const running of this.#running.values()) running?.abort.abort(new WeirError('Cancelled', 'the mount has gone'));
    for (const left of this.#handles.closeAll()) await endDraft(this.#services, left, {...systemContext, origin: this.#services.origin});
    this.#ended.resolve();
  }

  #receive(message: Buffer): void {
    let request;
    try {
      request = decodeRequest(message, {setxattrExtended: this.#setxattrExtended, numbered: this.#services.numbered});
    } catch (error) {
      this.#options.runtime.log.error('fuse: a request could not be read', {error});
      if (message.length >= 16) this.#reply(message.readBigUInt64LE(8), errno.EIO);
      return;
    }
    const {head, body} = request;
    this.#requests.set(body.op, (this.#requests.get(body.op) ?? 0) + 1);
    if (this.#options.foreground) this.#options.foreground.requests++;
    switch (body.op) {
      case 'init':
        return this.#init(head, body);
      case 'forget':
        for (const {node, count} of body.forgets) this.#services.remembered.forget(node as InodeId, count);
        return;
      case 'destroy':
        return;
      case 'interrupt':
        return void this.#interrupt(body.interrupted);
      case 'release':
        return this.#releaseSoon(head, body);
      default:
        if (this.#released.length > 0 && !mayOvertake(body)) this.#release();
        this.#answer(head, body);
        if (!this.#pruning && this.#services.remembered.crowded) void this.#prune();
    }
  }

  /**
   * Nobody waits for a RELEASE; but who has closed a file often opens the next at once, and waits for that. So it is carried out when the device
   * has no more at hand. Nothing overtakes it that could tell whether the file is still open.
   */
  #releaseSoon(head: FuseHead, body: BodyOf<'release'>): void {
    this.#released.push({head, body});
    if (this.#released.length === 1) queueMicrotask(() => this.#release());
  }

  #release(): void {
    for (const {head, body} of this.#released.splice(0)) {
      if (releaseNow(this.#services, body)) this.#reply(head.unique, 0);
      else void this.#serve(head, body);
    }
  }

  #init(head: FuseHead, {major, minor, flags}: Extract<FuseBody, {op: 'init'}>): void {
    const {device, runtime} = this.#options;
    if (major !== protocol.major || minor < protocol.oldestMinor) {
      runtime.log.error(`fuse: the kernel speaks ${major}.${minor}; the oldest that works is ${protocol.major}.${protocol.oldestMinor}`);
      return this.#reply(head.unique, errno.EIO);
    }
    const agreed: [number, number] = [0, 0];
    for (const name of this.#options.sharedLocks ? [...wanted, ...sharingLocks] : wanted) {
      if (name === 'passthrough' && !this.#options.passthrough) continue;
      const [word, bit] = initFlag[name];
      agreed[word] |= flags[word] & bit;
    }
    this.#setxattrExtended = agreedOn(agreed, 'setxattrExtended');
    const passthrough = agreedOn(agreed, 'passthrough');
    this.#services.remembered.minor = minor;
    this.#services = {...this.#services, passthrough};
    // Without it, what was read and not answered when a daemon dies would wait for ever: then the mount dies, too.
    if (agreedOn(agreed, 'hasResend')) this.#services.kept.agreed(agreed, minor);
    else device.endWithProcess();
    const answer = initBody({
      minor: Math.min(minor, protocol.minor), readAheadBytesMax: readAheadBytes, flags: agreed, backgroundMax: backgroundRequests, writeBytesMax: device.writeBytesMax,
      stackDepthMax: passthrough ? 1 : 0,
    });
    this.#follow();
    runtime.log.info('fuse: mounted', {protocol: `${major}.${Math.min(minor, protocol.minor)}`, passthrough});
    this.#reply(head.unique, 0, answer);
  }

  /** On the spot, where it can be. */
  #answer(head: FuseHead, body: FuseBody): void {
    if (this.#services.readOnly && changes.has(body.op)) return this.#reply(head.unique, errno.EROFS);
    const now = this.#now(head, body);
    if (now !== 'answered') void (now ? this.#settle(head, body, now) : this.#serve(head, body));
  }

  /** Answers when it is done; `running`: how it can be interrupted. */
  async #settle(head: FuseHead, body: FuseBody, done: Promise<Answer>, running?: Running): Promise<Answer> {
    let error = 0;
    let answer: Answer;
    this.#running.set(head.unique, running);
    try {
      answer = await done;
    } catch (failure) {
      error = this.#explain(failure, body);
    } finally {
      this.#running.delete(head.unique);
    }
    this.#listingsChanged(head, body);
    this.#reply(head.unique, error, answer);
    return answer;
  }

  async #serve(head: FuseHead, body: FuseBody): Promise<void> {
    const operation = operationOf(body);
    if (!operation) return this.#reply(head.unique, errno.ENOSYS);
    const {origin, files, remembered, rooms} = this.#services;
    const abort = new AbortController();
    const context = {principal: rootPrincipal, signal: abort.signal, origin, moment: 'safe', turn: remembered.turn, ...this.#once(head, body)} as const;
    const carryOut = async (): Promise<Answer> => {
      const made = context.request && isResent(head) ? await files.earlier(context) : undefined;
      return await (made ? answeredAgain(this.#services, head, body, made.info, context) : operation(this.#services, head, body, context));
    };
    const answer = await this.#settle(head, body, carryOut(), {thread: head.pid, abort, interruptible: body.op === 'setlkw'});
    // The kernel has its copy.
    if (answer) rooms.give(answer);
  }

  /** Names a change that must not be made twice. Results are kept until the kernel has its answers: those of earlier requests than any that is under way. */
  #once(head: FuseHead, {op}: FuseBody): Pick<CallContext, 'request'> {
    if (!this.#services.device.kept || !madeOnce.has(op)) return {};
    // What the kernel sends again comes before all else: until then it is not known which results are still wanted.
    this.#allCame ||= !isResent(head);
    let oldest = head.unique;
    if (this.#allCame) for (const unique of this.#running.keys()) if ((unique & ~resentBit) < (oldest & ~resentBit)) oldest = unique;
    const counter = Number(firstUnique(head));
    return {request: {client: this.#services.origin, counter, isNew: !isResent(head), acknowledged: this.#allCame ? Number(oldest & ~resentBit) - 1 : 0}};
  }

  /**
   * Any signal brings one, and only one; but reading and writing files is not ended by signals that a program survives, as on a disk: it
   * would take EINTR from write(2) or close(2) for a loss. So a request is given up when the program has been killed, then or later.
   */
  async #interrupt(unique: bigint): Promise<void> {
    const {device, runtime} = this.#options;
    for (let running = this.#running.get(unique); running && !running.abort.signal.aborted; running = this.#running.get(unique)) {
      if (running.interruptible) return running.abort.abort(new WeirError('Cancelled', 'the program got a signal'));
      if (device.isKilled(running.thread)) return running.abort.abort(new WeirError('Cancelled', 'the program was killed'));
      await runtime.clock.sleep(killedPollMs, {unref: true});
    }
  }

  /** Without a promise, or anything that an interruption could end. Undefined: it was not tried, or takes waiting first. */
  #now(head: FuseHead, body: FuseBody): 'answered' | Promise<Answer> | undefined {
    const answerNow = answersNow[body.op] as OperationNow<OperationName> | undefined;
    // What was perhaps made is looked for first.
    if (!answerNow || (isResent(head) && madeOnce.has(body.op))) return undefined;
    try {
      const {context} = this.#services;
      const answer = answerNow(this.#services, head, body, madeOnce.has(body.op) ? {...context, ...this.#once(head, body)} : context);
      if (!answer || answer instanceof Promise) return answer;
      if (answer instanceof Errno) this.#reply(head.unique, answer.number);
      else {
        this.#listingsChanged(head, body);
        this.#reply(head.unique, 0, answer);
      }
    } catch (failure) {
      this.#reply(head.unique, this.#explain(failure, body));
    }
    return 'answered';
  }

  async #prune(): Promise<void> {
    this.#pruning = true;
    await prune(this.#services);
    this.#pruning = false;
  }

  /** The kernel knows what it has changed by itself, but not what somebody read before that and gets after it. */
  #listingsChanged({node}: FuseHead, body: FuseBody): void {
    if (!namesChange.has(body.op)) return;
    const {remembered} = this.#services;
    remembered.ownNamesChanged(node as InodeId);
    if (body.op === 'rename') remembered.ownNamesChanged(body.newParent as InodeId);
  }

  #explain(failure: unknown, body: FuseBody): number {
    if (this.#abandoned) return errno.EIO;
    const known = errnoOf(failure);
    const {log} = this.#options.runtime;
    if (known === undefined) log.error('fuse: a request failed by a bug', {error: failure, operation: body.op});
    else if (known === errno.EIO) log.warn('fuse: a request failed', {error: failure, operation: body.op});
    return known ?? errno.EIO;
  }

  #reply(unique: bigint, error: number, body?: Uint8Array): void {
    if (this.#abandoned) return;
    try {
      // An empty buffer behind the head would be a system call of its own.
      this.#options.device.send(replyHead(unique, error, body?.length ?? 0), body?.length ? body : undefined);
    } catch (failure) {
      this.#options.runtime.log.error('fuse: the kernel refused an answer', {error: failure});
    }
  }
}

/** Whether it may be answered before a file is closed that was closed earlier. */
const mayOvertake = (body: FuseBody): boolean => body.op === 'lookup' || body.op === 'getattr' || body.op === 'read' || (body.op === 'open' && !isWritable(body.flags));

/** How what is written on a mount comes to its store, where nobody has said so. */
export const asMounted: SealOptions = {writeTypeDefault: 'ASYNC_THROUGH'};

/** Whether a mount was agreed on to share its locks. */
export const sharesLocks = (flags: readonly [low: number, high: number]): boolean => agreedOn(flags, 'posixLocks');

function agreedOn(flags: readonly [low: number, high: number], name: InitFlag): boolean {
  const [word, bit] = initFlag[name];
  return (flags[word] & bit) !== 0;
}
