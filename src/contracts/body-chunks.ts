/** Any Body as buffers, for receivers that cannot pass a descriptor to the kernel. */
import {WeirError} from '#base/errors.ts';
import type {Body} from '#contracts/worker-api.ts';

const chunkBytes = 256 * 1024;

/** Exactly `body.length` bytes, or a failure. The body is used up, also when the iteration stops early. */
export async function* bodyChunks(body: Body): AsyncGenerator<Uint8Array> {
  if (body.kind === 'bytes') {
    yield body.bytes;
    return;
  }
  if (body.kind === 'stream') {
    yield* body.stream;
    return;
  }
  using lease = body.lease;
  for (let sent = 0; sent < lease.length; ) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, lease.length - sent));
    const count = await lease.read(chunk, lease.offset + sent);
    if (count < chunk.length) throw new WeirError('ContentChanged', `the cached file ended ${lease.length - sent - count} bytes early`);
    sent += count;
    // The last bytes are vouched for only when the file has proved unchanged.
    if (sent === lease.length) await lease.validate?.();
    yield chunk;
  }
}
