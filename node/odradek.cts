#!/usr/bin/env node
/**
 * What the command `odradek` runs: says how many threads the pool has, then starts the program.
 * Syncs of many partitions run side by side there, and four are too few. Only here can it be said:
 * Node reads the ES modules themselves on that pool, so in `main.ts` its size is settled already.
 */
process.env['UV_THREADPOOL_SIZE'] ??= '16'

import('./main.js')
