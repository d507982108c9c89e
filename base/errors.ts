/**
 * Errors that the edge reports. Expected outcomes are values; these are for I/O and for people.
 * `StorageError` means the file it names can no longer be trusted to take writes.
 */

export type StorageCode =
  | 'EIO' // the device failed
  | 'ENOSPC' // the device is full; may pass
  | 'EROFS'
  | 'EACCES'
  | 'ENOENT'
  | 'EEXIST'
  | 'EMFILE'
  | 'ENOTEMPTY'
  | 'ENOTDIR'
  | 'EISDIR'
  | 'UNKNOWN'

export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: StorageCode
  readonly path: string
  constructor(code: StorageCode, path: string, action: string, options?: { cause?: unknown }) {
    super(`${action} ${path}: ${code}`, options)
    this.code = code
    this.path = path
  }
}

/** Bytes on disk that fail their checksum or their format. Never served; always said. */
export class CorruptionError extends Error {
  override readonly name = 'CorruptionError'
  readonly path: string
  constructor(path: string, message: string, options?: { cause?: unknown }) {
    super(`${path}: ${message}`, options)
    this.path = path
  }
}

/** A mistake of the person at the keyboard: the message says what to change. Exit code 1 or 2. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly exitCode: number
  constructor(message: string, exitCode = 1, options?: { cause?: unknown }) {
    super(message, options)
    this.exitCode = exitCode
  }
}
