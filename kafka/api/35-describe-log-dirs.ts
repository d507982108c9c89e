// DescribeLogDirs, v1-5
// v2 flexible; v3 top-level error; v4 volume sizes (KIP-827); v5 cordoned directories (KIP-1066)
import {
  array,
  bool,
  type Infer,
  int16,
  int32,
  int64,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  topics: array(
    {
      topic: string(),
      partitions: array(int32()),
    },
    { nullable: true },
  ),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  errorCode: int16({ since: 3, ignorable: true }),
  results: array({
    errorCode: int16(),
    logDir: string(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        partitionSize: int64(),
        offsetLag: int64(),
        isFutureKey: bool(),
      }),
    }),
    totalBytes: int64({ since: 4, default: -1, ignorable: true }),
    usableBytes: int64({ since: 4, default: -1, ignorable: true }),
    isCordoned: bool({ since: 5, ignorable: true }),
  }),
})

export type DescribeLogDirsRequest = Infer<typeof request>
export type DescribeLogDirsResponse = Written<typeof response>

export const describeLogDirs = defineApi({
  key: 35,
  name: 'DescribeLogDirs',
  versions: [1, 5],
  flexibleSince: 2,
  request,
  response,
  handle: (context, request) => context.broker.cluster.describeLogDirs(context, request),
})
