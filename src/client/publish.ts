/**
 * The last steps of every write, whole object or upload or copy: the worker lets the store finish, having waited for the path's
 * turn, and then the master makes the content visible. Whatever fails, the ticket goes back; and when the store may have
 * the object although we cannot say so, the path is asked for anew, so that the namespace never claims what it does not know.
 */
import type {CallContext} from '#contracts/context.ts';
import {systemContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import type {Ready} from '#contracts/worker-api.ts';
import type {WriteTicket, WrittenObject} from '#contracts/writing.ts';

export type PublishingMaster = Pick<MasterApi, 'prepareCommit' | 'commitWrite' | 'abandonWrite' | 'refresh'>;

/** `write` lets the store finish; it calls `ready` just before the object could become visible. */
export async function publish(master: PublishingMaster, ticket: WriteTicket, write: (ready: Ready) => Promise<WrittenObject>, context: CallContext): Promise<FileInfo> {
  let isReady = false;
  try {
    const object = await write(async (way) => {
      await master.prepareCommit(way === undefined ? ticket : {...ticket, writeType: way}, context);
      isReady = true;
    });
    return await master.commitWrite(ticket, object, context);
  } catch (error) {
    const cleanup = {...context, signal: systemContext.signal};
    if (isReady) await master.refresh(ticket.path, cleanup).catch(() => {});
    await abandon(master, ticket, context);
    throw error;
  }
}

/** Also after the caller has gone away. */
export async function abandon(master: Pick<MasterApi, 'abandonWrite'>, ticket: WriteTicket, context: CallContext): Promise<void> {
  // A ticket that cannot be given back now is forgotten by the master in its own time.
  await master.abandonWrite(ticket, {...context, signal: systemContext.signal}).catch(() => {});
}
