import { StoreError } from './store-error.ts';

/**
 * A place in a source. `source` names the store (a new one gets a new name), `end` is the number of events
 * that the store had taken up to and with this place, so positions of one source only grow.
 */
export interface Position {
  readonly source: string;
  readonly end: number;
}

/**
 * The highest position: a million events a second reach it after thirty years. Numbers count one by one far beyond it, and
 * sixteen digits hold it. A position above it does not come from counting: files were damaged, or made up.
 */
export const POSITION_MAX = 1_000_000_000_000_000;

/** @throws StoreError `corrupt` where no counting leads to the position. `where`: what holds it */
export function checkPosition(position: number | bigint, where: string): number {
  if (position >= 0 && position <= POSITION_MAX) return Number(position);
  throw new StoreError(
    'corrupt',
    `${where} has position ${position}, which is not from 0 to ${POSITION_MAX}: it was damaged or made up, restore a backup`,
  );
}
