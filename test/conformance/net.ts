/** What every Net must do: one suite for the real and the simulated one. */
import assert from 'node:assert/strict';
import {describe, test} from 'node:test';
import {isKind} from '#base/errors.ts';
import type {Connection, Net} from '#runtime/net.ts';

const host = '127.0.0.1';
const unavailable = (error: unknown): boolean => isKind(error, 'Unavailable');
const readAll = async (connection: Connection): Promise<Buffer> => Buffer.concat(await Array.fromAsync(connection.incoming));

export function describeNet(name: string, withNet: (fn: (net: Net) => Promise<void>) => Promise<void>): void {
  const it = (what: string, fn: (net: Net) => Promise<void>): void => test(what, () => withNet(fn)) as unknown as void;

  describe(`net ${name}`, () => {
    it('carries bytes both ways, in order, under backpressure', async (net) => {
      await using listener = await net.listen({host, port: 0}, (connection) => {
        void (async () => {
          for await (const chunk of connection.incoming) await connection.write([chunk]);
          await connection.end();
        })();
      });
      await using connection = await net.connect(listener.address);
      assert.equal(connection.remote.port, listener.address.port);
      const echoed = readAll(connection);
      const sent: Buffer[] = [];
      for (let i = 0; i < 200; i++) {
        const pieces = [Buffer.alloc(10_000, i), Buffer.from(`-${i}-`)];
        sent.push(...pieces);
        await connection.write(pieces);
      }
      await connection.end();
      assert.ok((await echoed).equals(Buffer.concat(sent)));
    });

    it('refuses where nobody listens, and a taken port', async (net) => {
      const listener = await net.listen({host, port: 0}, () => {});
      await assert.rejects(net.listen(listener.address, () => {}), (error) => isKind(error, 'AlreadyExists'));
      await listener[Symbol.asyncDispose]();
      await assert.rejects(net.connect(listener.address), unavailable);
    });

    it('gives up when the signal says so', async (net) => {
      await using listener = await net.listen({host, port: 0}, () => {});
      await assert.rejects(net.connect(listener.address, {signal: AbortSignal.abort()}), unavailable);
    });

    it('tells both sides of a break', async (net) => {
      const accepted = Promise.withResolvers<Connection>();
      await using listener = await net.listen({host, port: 0}, accepted.resolve);
      const connection = await net.connect(listener.address);
      const other = await accepted.promise;
      const reading = readAll(connection);
      connection.destroy();
      await assert.rejects(reading, unavailable);
      await assert.rejects(connection.write([Buffer.from('x')]), unavailable);
      await other[Symbol.asyncDispose]();
    });
  });
}
