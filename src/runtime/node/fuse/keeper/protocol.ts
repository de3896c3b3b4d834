/**
 * What a keeper and a daemon say to each other, on a Unix socket in the home that only its owner may open.
 *
 * The daemon says words, a line each: `take` is answered by one message, a line of JSON (KeptMount) with the descriptors of the FUSE device
 * and of the mount's memory; `serve` says that it serves the mount for as long as this connection lasts; `end` that the mount has gone: the
 * keeper goes, too. `tell BASE64` is a notification that the keeper writes to the device, and then answers `told`: the kernel may hold up who
 * writes one until a request has its answer, and a daemon that waits there when it is killed could neither die nor be followed. `whose` is answered by
 * a line, the memory's beginning in base64: for the instance, which wants to know whether a mount that it hears no more of may come back.
 *
 * Words that are not known are passed over, so that a later daemon can talk to an earlier keeper, which an upgrade leaves in its place.
 */

export const keeperProtocol = 1;

export const whoseWord = 'whose';
export const tellWord = 'tell ';

export interface KeptMount {
  readonly protocol: number;
  readonly directory: string;
  /** How it was mounted; a daemon that is asked for another way does not take it over. */
  readonly options: string;
}

/** The keeper's own descriptors, from its first moment. */
export const deviceDescriptor = 3;
export const memoryDescriptor = 4;

export interface KeeperArguments {
  /** Where the socket is made, absolute, and its name there. */
  readonly directory: string;
  readonly name: string;
  readonly mount: KeptMount;
  /** How long the mount may be without a daemon; then it ends. */
  readonly patienceMs: number;
}
