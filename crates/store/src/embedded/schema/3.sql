-- Schema 3: threads that cannot be stepped are counted and set aside.

ALTER TABLE thread ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0; -- times it was taken since it last went well
ALTER TABLE thread ADD COLUMN buried   INTEGER NOT NULL DEFAULT 0; -- 1 while it is set aside; `error` says why
CREATE INDEX thread_buried ON thread (written) WHERE buried = 1;
