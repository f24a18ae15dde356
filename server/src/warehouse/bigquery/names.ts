/** Where Daybook's tables and views lie. */
export interface BigqueryPlace {
  readonly projectId: string;
  readonly dataset: string;
  /** The table that the subscription writes; everything else is named after it. */
  readonly table: string;
}

/** What reports ask for, and what lies behind it → the ending of its table or view. */
const SUFFIXES = {
  table: '',
  events: '_distinct',
  event_rows: '_rows',
  users: '_users',
  sessions: '_sessions',
  user_days: '_user_days',
  daily: '_daily',
  daily_table: '_daily_table',
  dead_letters: '_dead_letters',
  dead_letters_raw: '_dead_letters_raw',
  version: '_version',
} as const;

/** A table or view of the place; `table` is the one that the subscription writes. */
export type BigqueryTableName = keyof typeof SUFFIXES;

/** The id of a table or view in the dataset. */
export function tableId(place: BigqueryPlace, name: BigqueryTableName): string {
  return `${place.table}${SUFFIXES[name]}`;
}

/** The whole name of a table or view as it stands in SQL. */
export function tableSql(place: BigqueryPlace, name: BigqueryTableName): string {
  return `\`${place.projectId}.${place.dataset}.${tableId(place, name)}\``;
}
