-- Schema 2: rights to do something alone.

CREATE TABLE holding (
  name  TEXT NOT NULL PRIMARY KEY,
  by    TEXT NOT NULL,                   -- who has it
  until TEXT NOT NULL                    -- from then on anybody may take it
) STRICT, WITHOUT ROWID;
