-- The store of Switchboard, schema 1. Every time is UTC text, 2026-01-31T09:30:00.000000000Z, which sorts as it reads.
-- The truth is in `event`; all else can be rebuilt from it or may be forgotten.

CREATE TABLE thread (
  id         TEXT    NOT NULL PRIMARY KEY,
  home       TEXT    NOT NULL,
  generation INTEGER NOT NULL,
  version    INTEGER NOT NULL,           -- how many events it has
  updated    TEXT    NOT NULL,           -- when it was last written
  written    INTEGER NOT NULL,           -- rises with each write to any thread
  due        TEXT,                       -- when a worker may take it; while one has it, when its lease expires
  worker     TEXT,                       -- who has it; NULL when nobody
  epoch      INTEGER NOT NULL DEFAULT 0, -- rises each time it is taken
  woken      INTEGER NOT NULL DEFAULT 0, -- 1 when it was woken while a worker had it
  error      TEXT                        -- why the last step did not work
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX thread_home ON thread (home, generation);
CREATE INDEX thread_written ON thread (written);
CREATE INDEX thread_due ON thread (due) WHERE due IS NOT NULL;
CREATE INDEX thread_held ON thread (worker) WHERE worker IS NOT NULL;

CREATE TABLE event (
  thread  TEXT    NOT NULL REFERENCES thread (id),
  seq     INTEGER NOT NULL,              -- the place in the log; the first is 0
  at      TEXT    NOT NULL,              -- when it was committed
  format  INTEGER NOT NULL,              -- the version of the event format
  event   TEXT    NOT NULL,              -- JSON
  PRIMARY KEY (thread, seq)
) STRICT;

CREATE TABLE outgoing (
  id       INTEGER PRIMARY KEY,          -- in the order they were committed
  key      TEXT    NOT NULL UNIQUE,
  thread   TEXT    NOT NULL REFERENCES thread (id),
  channel  TEXT    NOT NULL,
  place    TEXT    NOT NULL,
  state    TEXT    NOT NULL CHECK (state IN ('waiting', 'sent', 'dead')),
  message  TEXT,                         -- the platform's name of it, once sent
  due      TEXT,                         -- when it may be sent; NULL while it stands behind another to the same place
  worker   TEXT,                         -- who is sending it; NULL when nobody
  epoch    INTEGER NOT NULL DEFAULT 0,   -- rises each time it is taken
  attempts INTEGER NOT NULL DEFAULT 0,   -- counted before an attempt begins
  since    TEXT,                         -- when the first attempt began
  error    TEXT,                         -- what the last attempt met
  outgoing TEXT    NOT NULL              -- JSON
) STRICT;
CREATE INDEX outgoing_place ON outgoing (channel, place);
CREATE INDEX outgoing_message ON outgoing (channel, message) WHERE message IS NOT NULL;
CREATE INDEX outgoing_waiting ON outgoing (channel, place) WHERE state = 'waiting';
CREATE INDEX outgoing_due ON outgoing (channel, due) WHERE state = 'waiting' AND due IS NOT NULL;

CREATE TABLE inbound_key (
  key    TEXT NOT NULL PRIMARY KEY,      -- a name under which an inbound may arrive again
  thread TEXT NOT NULL,
  at     TEXT NOT NULL                   -- when it was taken; forgotten 30 days later
) STRICT, WITHOUT ROWID;
CREATE INDEX inbound_key_at ON inbound_key (at);

CREATE TABLE value (
  name  TEXT NOT NULL PRIMARY KEY,
  at    TEXT NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
