/** The machine's suites on the real and on the simulated form. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describeDisk} from '../conformance/disk.ts';
import {describeNet} from '../conformance/net.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const real = createNodeRuntime({log: {level: 'silent'}});

describeDisk('of this machine', async (fn) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-disk-'));
  try {
    await fn(real.disk, directory);
  } finally {
    await rm(directory, {recursive: true});
  }
});
describeNet('of this machine', (fn) => fn(real.net));

let seed = 1;
describeDisk('simulated', (fn) =>
  createSimulation(seed++).run(async ({disk}) => {
    await disk.makeDirectory('/work/here', {recursive: true});
    await fn(disk, '/work/here');
  }),
);
describeNet('simulated', (fn) => createSimulation(seed++).run(({net}) => fn(net)));
