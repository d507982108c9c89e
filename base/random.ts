/** Randomness as the rest of the code sees it; reproducible in simulation. */

export interface Random {
  /** Uniform in 0 .. 2^32 - 1. */
  uint32(): number
  /** Uniform in 0 .. bound - 1; 1 <= bound <= 2^32. */
  below(bound: number): number
  /** Uniform in [0, 1). */
  unit(): number
  /** `length` fresh bytes. In production from the system's secure source. */
  bytes(length: number): Buffer
  /** An independent stream: draws from it do not shift the draws of others. */
  split(name: string): Random
}
