/** All of them. */
import {awscli} from './awscli.ts';
import {boto3} from './boto3.ts';
import type {Client} from './client.ts';
import {duckdb} from './duckdb.ts';
import {jsSdk} from './js-sdk.ts';
import {minioPy} from './minio-py.ts';
import {polars} from './polars.ts';
import {pyarrow} from './pyarrow.ts';
import {s3fs} from './s3fs.ts';

export const clients: readonly Client[] = [awscli, boto3, jsSdk, minioPy, s3fs, pyarrow, polars, duckdb];
