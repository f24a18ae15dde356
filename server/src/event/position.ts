/**
 * A place in a source. `source` names the store (a new one gets a new name), `end` is the number of events
 * that the store had taken up to and with this place, so positions of one source only grow.
 */
export interface Position {
  readonly source: string;
  readonly end: number;
}
