/** Loaded before Weir (node --import): ends the process by SIGKILL between a change's commit and its answer to the kernel, now and then. */
import fs from 'node:fs';

const chance = Number(process.env['WEIR_TEST_CRASH_CHANCE'] ?? 0.02);
/** Only those without a body: of UNLINK, RENAME, FLUSH … */
const bare = process.env['WEIR_TEST_CRASH_BARE'] === '1';
const headBytes = 16;
const entryBytes = 128;
const {writevSync} = fs;

fs.writevSync = (fd, buffers, ...rest) => {
  const [head, body] = buffers;
  // An answer of success without a body (UNLINK, RENAME, FLUSH …), or about a file (MKDIR, CREATE …).
  const isAnswer = head?.byteLength === headBytes && Buffer.from(head.buffer, head.byteOffset, headBytes).readInt32LE(4) === 0;
  if (isAnswer && (body === undefined || (!bare && body.byteLength >= entryBytes)) && Math.random() < chance) process.kill(process.pid, 'SIGKILL');
  return writevSync(fd, buffers, ...rest);
};
