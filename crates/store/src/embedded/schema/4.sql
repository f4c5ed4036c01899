-- Schema 4: threads are retired.

CREATE TABLE retired (
  home       TEXT    NOT NULL PRIMARY KEY,
  generation INTEGER NOT NULL            -- the highest that was retired there; none up to it comes to be again
) STRICT, WITHOUT ROWID;
CREATE INDEX outgoing_thread ON outgoing (thread);
