/**
 * Branded numbers: an Offset can't be passed where an Epoch is due, at no cost at run time.
 * Offsets are checked to be safe integers where they are read from the wire.
 */

declare const brand: unique symbol
type Brand<Name extends string> = number & { readonly [brand]: Name }

export type Offset = Brand<'Offset'>
export type Epoch = Brand<'Epoch'>
export type NodeId = Brand<'NodeId'>

export const offset = (value: number): Offset => value as Offset
export const epoch = (value: number): Epoch => value as Epoch
export const nodeId = (value: number): NodeId => value as NodeId

export const NO_NODE = -1 as NodeId
export const NO_EPOCH = -1 as Epoch
