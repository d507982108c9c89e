/** All checkers, each under the names of the anomalies that it finds. */
import { unavailability } from './availability.ts'
import { endsThatGoBack, staleLatest, watermarksThatGoBack } from './ends.ts'
import { commitsThatRegress, doubleOwners } from './groups.ts'
import type { History, Violation } from './history.ts'
import { membersBehind } from './in-sync.ts'
import { twoLeaders } from './leaders.ts'
import { metadataOrder } from './metadata.ts'
import { externalPolls, internalPolls, skippedRecords } from './polls.ts'
import {
  duplicates,
  inconsistentOffsets,
  lostWrites,
  producerOrder,
  realtimeInversions,
  unseenWrites,
  unwrittenReads,
  vanishedReads,
} from './records.ts'
import { divergedReplicas } from './replicas.ts'
import { deletedRecords, lostStarts } from './trims.ts'
import { leadersWithoutVotes, votesThatGoBack } from './votes.ts'

export type Checker = (history: History) => Violation[]

/** In the order in which a reader wants to hear of them. */
export const CHECKERS: readonly Checker[] = [
  lostWrites,
  unseenWrites,
  inconsistentOffsets,
  duplicates,
  lostStarts,
  deletedRecords,
  vanishedReads,
  unwrittenReads,
  producerOrder,
  realtimeInversions,
  internalPolls,
  externalPolls,
  skippedRecords,
  staleLatest,
  endsThatGoBack,
  watermarksThatGoBack,
  membersBehind,
  doubleOwners,
  commitsThatRegress,
  twoLeaders,
  votesThatGoBack,
  leadersWithoutVotes,
  divergedReplicas,
  metadataOrder,
  unavailability,
]

export function checkAll(history: History): Violation[] {
  return CHECKERS.flatMap((checker) => checker(history))
}
