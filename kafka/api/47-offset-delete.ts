// OffsetDelete, v0
// KIP-496
import { array, type Infer, int16, int32, string, struct, type Written } from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  groupId: string(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
    }),
  }),
})

const response = struct({
  errorCode: int16(),
  throttleTimeMs: int32({ default: 0, ignorable: true }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
    }),
  }),
})

export type OffsetDeleteRequest = Infer<typeof request>
export type OffsetDeleteResponse = Written<typeof response>

export const offsetDelete = defineApi({
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  request,
  response,
})
