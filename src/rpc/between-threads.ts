/**
 * Contracts over a connection between threads of one process: nobody has to prove anything, the caller says for whom it asks, and leases are lent
 * instead of their bytes.
 */
import {assert} from '#base/assert.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileLease} from '#model/file-lease.ts';
import {Calls, plainTravelling} from '#rpc/calls.ts';
import {Channel} from '#rpc/channel.ts';
import {type RpcService, ServedCalls, servicesByName} from '#rpc/served-calls.ts';
import type {Log} from '#runtime/log.ts';
import type {Connection} from '#runtime/net.ts';

/** Stubs for this thread. Every call fails with Unavailable when the other has ended. */
export function callsOver(connection: Connection, borrow: (lent: unknown) => FileLease): Calls {
  const channel = new Channel(connection);
  void channel.run({onFrame: () => assert(false, 'only this side calls'), onClose: () => {}});
  return new Calls(
    () => (channel.closed ? Promise.reject(channel.closed) : Promise.resolve(channel)),
    (context) => ({...plainTravelling(context), principal: context.principal, remote: context.remote, lifecycle: context.lifecycle}),
    borrow,
  );
}

/** Serves another thread until the channel is destroyed: calls under way are aborted then. */
export function serveOver(connection: Connection, {services, log, lend}: {readonly services: readonly RpcService[]; readonly log: Log; readonly lend: (lease: FileLease) => unknown}): Channel {
  const channel = new Channel(connection);
  const calls = new ServedCalls(channel, {services: servicesByName(services), log, lend});
  void channel.run({
    onFrame: (frame) =>
      calls.onCall(frame, (travelled, signal) => {
        const said = Object.entries(travelled ?? {}).filter(([, value]) => value !== null && value !== undefined);
        return {...(Object.fromEntries(said) as unknown as CallContext), signal};
      }),
    onClose: () => {},
  });
  return channel;
}
