/** What decides the shard of a row: what is stored together has the same one. */
export type ShardKey = string | number | bigint
