/**
 * 64 MiB in parts of 8 MiB under ASYNC_THROUGH, from the first request to the answer that the object is there, beside the same bytes written to a
 * file of the same disk and synced. What brings objects to the store behind is waited for between rounds.
 */
import {mkdtemp, open, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {S3Client} from '../test/integration/s3-client.ts';
import {mb, mib} from './bench.ts';
import {atLeast, median, number, type Row} from './report.ts';
import {cpuSeconds} from './processes.ts';
import type {Weir} from './weir.ts';

const partBytes = 8 * mib;
const partsInFlight = 4;
const writeBytes = 1 * mib;

/** Bytes that no disk makes smaller. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

/** Bytes a second of one writer that syncs at the end. */
async function diskRate(directory: string, body: Buffer, parts: number): Promise<number> {
  await using file = await open(path.join(directory, 'file'), 'w');
  const started = performance.now();
  for (let part = 0; part < parts; part++) for (let at = 0; at < partBytes; at += writeBytes) await file.write(body, at, writeBytes);
  await file.datasync();
  return (parts * partBytes) / ((performance.now() - started) / 1000);
}

async function uploadRate(client: S3Client, target: string, body: Buffer, parts: number): Promise<number> {
  const payloadHash = 'UNSIGNED-PAYLOAD';
  const started = performance.now();
  const uploadId = /<UploadId>([^<]*)</.exec((await client.must('POST', target, {query: 'uploads='})).body.toString())![1]!;
  const etags: string[] = [];
  const numbers = Array.from({length: parts}, (_, i) => i + 1).values();
  const send = async (): Promise<void> => {
    for (const n of numbers) etags[n - 1] = (await client.must('PUT', target, {query: `partNumber=${n}&uploadId=${uploadId}`, body, payloadHash})).headers.etag!;
  };
  await Promise.all(Array.from({length: partsInFlight}, send));
  const list = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`).join('');
  await client.must('POST', target, {query: `uploadId=${uploadId}`, body: `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`});
  return (parts * partBytes) / ((performance.now() - started) / 1000);
}

/** Until the store has it. */
async function settle(client: S3Client, target: string): Promise<void> {
  while ((await client.must('HEAD', target)).headers['x-weir-persist'] !== undefined) await sleep(50);
}

export async function uploadsInParts(weir: Weir, bucket: string, {quick, say}: {readonly quick: boolean; readonly say: (what: string) => void}): Promise<Row> {
  const parts = quick ? 2 : 8;
  const body = noise(partBytes);
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-bench-parts-'));
  const client = new S3Client({endpoint: weir.s3.origin, accessKeyId: weir.accessKeyId, secretAccessKey: weir.secretAccessKey});
  const [disk, uploads, cpu]: number[][] = [[], [], []];
  try {
    for (let round = 0; round < (quick ? 1 : 7); round++) {
      say(`uploads in parts, round ${round + 1}`);
      disk!.push(await diskRate(directory, body, parts));
      const target = `/${bucket}/parts-${round}`;
      const before = cpuSeconds(weir.pid);
      uploads!.push(await uploadRate(client, target, body, parts));
      cpu!.push(cpuSeconds(weir.pid) - before);
      await settle(client, target);
      await client.must('DELETE', target);
    }
  } finally {
    client.close();
    await rm(directory, {recursive: true, force: true});
  }
  const [ours, theirs] = [median(uploads!), median(disk!)];
  return {
    what: `PUT ${(parts * partBytes) / mib} MiB in parts of ${partBytes / mib} MiB, ${partsInFlight} at a time, ASYNC_THROUGH`,
    measured: `${number(ours / mb)} MB/s (${number(1000 * median(cpu!))} ms CPU)`, beside: `the disk, written and synced: ${number(theirs / mb)} MB/s`,
    figure: ours / theirs, goal: atLeast(0.8),
  };
}
