#!/usr/bin/env node
/**
 * What the command `odradek` runs: says how many threads the pool has, then starts the program.
 * Syncs of many partitions run side by side there, and four are too few. Only here can it be said:
 * Node reads the ES modules themselves on that pool, so in `main.ts` its size is settled already.
 *
 * Only here can it also be said that they can't be read because too few files may be open: the
 * loader fails with EMFILE for one of them, or takes another for missing.
 */

/** More than the modules have open at once while they are read. */
const ENOUGH_FILES = 250

process.env['UV_THREADPOOL_SIZE'] ??= '16'

import('./main.js').catch(async (error: unknown) => {
  if (await mayOpen(ENOUGH_FILES)) throw error
  process.stderr.write(
    'odradek: the program is not loaded, since too few files may be open: ' +
      'raise the limit (ulimit -n), 100,000 is a good one\n',
  )
  process.exit(1)
})

async function mayOpen(count: number): Promise<boolean> {
  const { closeSync, openSync } = await import('node:fs')
  const files: number[] = []
  try {
    while (files.length < count) files.push(openSync(process.execPath, 'r'))
    return true
  } catch {
    return false
  } finally {
    for (const file of files) closeSync(file)
  }
}
