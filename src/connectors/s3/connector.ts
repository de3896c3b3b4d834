/** `s3://bucket/prefix` (and `s3a://`): Amazon S3 and everything that speaks its dialect. */
import {trusting} from '#understore/trusting.ts';
import type {Connector} from '#understore/under-store.ts';
import {options, placeOf, readConfig} from '#connectors/s3/config.ts';
import {S3Store} from '#connectors/s3/s3-store.ts';

export const connector: Connector = {
  schemes: ['s3', 's3a'],
  options,

  describe(uri, given) {
    const config = readConfig(uri, given);
    return {place: placeOf(config), defaultName: config.bucket};
  },

  async open(uri, given, environment) {
    const config = readConfig(uri, given, environment.variables);
    return new S3Store(config, config.caFile === undefined ? environment : {...environment, http: await trusting(environment, config.caFile)});
  },
};
