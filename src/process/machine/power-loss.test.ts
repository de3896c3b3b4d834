/**
 * A whole instance, used as a mount and by S3 at once, over stores that may be in trouble, killed and without power at any point of anything: what was
 * acknowledged as durable or synced is there, what was not is wholly as before or wholly new, never of another file; and in the end the stores have
 * what the namespace shows. Three plays by default; WEIR_TEST_SEEDS plays more, from WEIR_TEST_SEED on.
 */
import {describe, it} from 'node:test';
import {play} from '#process/machine/play.test.ts';

const seeds = Number(process.env['WEIR_TEST_SEEDS'] ?? 3);
const first = Number(process.env['WEIR_TEST_SEED'] ?? 1);

describe('an instance on a machine that dies', () => {
  it('loses nothing, mixes nothing', async () => {
    for (let seed = first; seed < first + seeds; seed++) await play(seed);
  });
});
