/**
 * Whether the client gave the event_id. The loader reads it from the rows that it just added, to know which ids may
 * be there twice; it is unknown (NULL) for rows from before.
 */
export const sql = `ALTER TABLE events ADD COLUMN event_id_given BOOLEAN`;
