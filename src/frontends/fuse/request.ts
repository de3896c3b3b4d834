/** What every operation of a mount gets, and what it answers. */
import type {InodeId} from '#base/ids.ts';
import type {FileSystem} from '#client/file-system.ts';
import {resentBit} from '#codec/fuse/abi.ts';
import type {FuseBody, FuseHead} from '#codec/fuse/request.ts';
import type {CallContext} from '#contracts/context.ts';
import type {SealOptions} from '#contracts/writing.ts';
import type {ShownAs} from '#frontends/fuse/attributes.ts';
import type {Errno} from '#frontends/fuse/failure.ts';
import type {Handles} from '#frontends/fuse/handles.ts';
import type {HeldNames} from '#frontends/fuse/held-names.ts';
import type {KeptState} from '#frontends/fuse/kept-state.ts';
import type {MountLocks} from '#frontends/fuse/mount-locks.ts';
import type {NodeNumbers} from '#frontends/fuse/node-numbers.ts';
import type {Rooms} from '#frontends/fuse/rooms.ts';
import type {OwnRenames} from '#frontends/fuse/own-renames.ts';
import type {SecondAsks} from '#frontends/fuse/second-asks.ts';
import type {Remembered} from '#frontends/fuse/remembered.ts';
import type {Clock} from '#runtime/clock.ts';
import type {FuseDevice} from '#runtime/fuse.ts';
import type {Log} from '#runtime/log.ts';

export interface MountServices {
  readonly files: FileSystem;
  readonly device: FuseDevice;
  readonly handles: Handles;
  /** Whether files may be handed to the kernel: agreed on at INIT. */
  readonly passthrough: boolean;
  readonly readOnly: boolean;
  /** How what is written here comes to its store, where nobody has said so. */
  readonly writing: SealOptions;
  /** Of changes that are made on the spot. */
  readonly context: CallContext;
  readonly clock: Pick<Clock, 'nowNs'>;
  /** Where bytes are put that are answered on the spot: room for the largest READ. */
  readonly room: Uint8Array;
  /** Where bytes are put while something is waited for. */
  readonly rooms: Rooms;
  readonly log: Log;
  readonly shownAs: ShownAs;
  readonly remembered: Remembered;
  readonly renames: OwnRenames;
  readonly secondAsks: SecondAsks;
  readonly heldNames: HeldNames;
  readonly numbered: NodeNumbers;
  readonly kept: KeptState;
  /** Of a mount that shares them with others. */
  readonly locks?: MountLocks;
  /** Names this mount to the master: as who has files open, and whose changes need not be told to it. */
  readonly origin: string;
}

export interface RequestContext extends CallContext {
  /** Remembered.turn when the request came. */
  readonly turn: number;
}

/** The body of the reply; undefined where success says it all. Throws Errno or WeirError. */
export type Answer = Uint8Array | undefined;

/** Of what is tried on the spot: undefined where it takes waiting before anything is done; a promise where it is done, and must not be answered before that. An errno that is expected is not thrown. */
export type AnswerNow = Answer | Errno | Promise<Answer>;

/** `context`: of whoever is content that a change is safe. */
export type OperationNow<Name extends OperationName> = (services: MountServices, head: FuseHead, body: BodyOf<Name>, context: CallContext) => AnswerNow;

/** On the spot: done. */
export const nothingToSay: Uint8Array = new Uint8Array(0);

export type OperationName = FuseBody['op'];
export type BodyOf<Name extends OperationName> = Named<FuseBody, Name>;
/** Also of bodies that several operations share. */
type Named<Body, Name> = Body extends {readonly op: infer Op} ? (Name extends Op ? Body : never) : never;

/** `context.principal`: the kernel has checked modes already (default_permissions). */
export type Operation<Name extends OperationName> = (services: MountServices, head: FuseHead, body: BodyOf<Name>, context: RequestContext) => Promise<Answer>;

export const nodeOf = (head: FuseHead): InodeId => head.node as InodeId;

/** The request's id, the same when the kernel sends it again because nobody answered the first. */
export const firstUnique = (head: Pick<FuseHead, 'unique'>): bigint => head.unique & ~resentBit;

/** Whether the kernel sends it again, because nobody answered the first: it may have been carried out. */
export const isResent = ({unique}: Pick<FuseHead, 'unique'>): boolean => (unique & resentBit) !== 0n;
