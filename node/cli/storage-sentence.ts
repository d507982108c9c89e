/** What to do when a node can't start because of its disk: one sentence for each way to fail. */
import { CorruptionError, StorageError, UserError } from '../../base/errors.ts'

/** What is no trouble of a disk stays as it is. */
export function asSentence(error: unknown): unknown {
  if (error instanceof StorageError) return new UserError(sentence(error), 1, { cause: error })
  if (!(error instanceof CorruptionError)) return error
  const text =
    `${error.message}: the directory is damaged; restore it, or remove it ` +
    'when other nodes have all that was in it'
  return new UserError(text, 1, { cause: error })
}

function sentence({ code, path, message }: StorageError): string {
  switch (code) {
    case 'ENOSPC':
      return `the disk that holds ${path} is full: make room, or set log.dirs to another disk`
    case 'EROFS':
      return `${path} is on a read-only file system: mount it for writing, or change log.dirs`
    case 'EACCES':
      return `this user may not write ${path}: change its owner or its mode, or change log.dirs`
    case 'ENOTDIR':
    case 'EISDIR':
      return `${path} can't be used because a file is where a directory should be: change log.dirs`
    case 'ENOENT':
      return `${path} can't be made there: change log.dirs`
    case 'EMFILE':
      return `too many files are open (${path}): raise the limit (ulimit -n), 100,000 is a good one`
    default:
      return `the disk failed (${message}): look at the system's log, and change log.dirs if need be`
  }
}
