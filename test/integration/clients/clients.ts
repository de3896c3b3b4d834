/** All of them. */
import {awscli} from './awscli.ts';
import {boto3} from './boto3.ts';
import type {Client} from './client.ts';
import {duckdb} from './duckdb.ts';
import {jsSdk} from './js-sdk.ts';
import {mc} from './mc.ts';
import {javaSdk} from './java-sdk.ts';
import {minioPy} from './minio-py.ts';
import {polars} from './polars.ts';
import {pyarrow} from './pyarrow.ts';
import {rclone} from './rclone.ts';
import {s3cmd} from './s3cmd.ts';
import {s3fs} from './s3fs.ts';
import {s5cmd} from './s5cmd.ts';
import {spark} from './spark.ts';

/** In every run of the tests. */
export const quickClients: readonly Client[] = [awscli, boto3, jsSdk, minioPy, s3fs, pyarrow, polars, duckdb, s5cmd, rclone];

export const clients: readonly Client[] = [...quickClients, s3cmd, mc, javaSdk, spark];
