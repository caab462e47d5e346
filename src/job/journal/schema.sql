-- The state of listferry, version 2. A change here is a new version and a step in migrate.rs.
CREATE TABLE runs (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    job          TEXT NOT NULL,               -- hash of name or path, platform, base_url, account and target
    name         TEXT NOT NULL,
    platform     TEXT NOT NULL,
    job_file     TEXT,
    overrides    TEXT NOT NULL,               -- JSON array of key.path=value, without secrets
    fingerprint  TEXT NOT NULL,               -- hash of all keys that shape bytes or calls
    random       TEXT NOT NULL,
    date         TEXT NOT NULL,
    started_ms   INTEGER NOT NULL,
    ended_ms     INTEGER,
    closed       INTEGER NOT NULL DEFAULT 0,  -- 1: ended, nothing of it is continued
    exit_code    INTEGER,                     -- NULL: running, or killed
    measured     TEXT,                        -- JSON: the manifest of pass one
    report       TEXT,                        -- JSON
    rejects_file TEXT,
    target       TEXT,                        -- hash of the target with its names filled in
    source       TEXT,                        -- hash of path, size and times of all files; NULL: a stream
    effect       TEXT,                        -- JSON: what repeating or reordering its imports would change
    once_key     TEXT,                        -- of --once
    closed_as    TEXT,                        -- superseded or abandoned; NULL: it ended by itself
    listed       INTEGER NOT NULL DEFAULT 0,  -- 1: open, but a later run has started all the same
    reported     INTEGER NOT NULL DEFAULT 0,  -- 1: its report was written to where it was asked for
    version      TEXT                         -- of the listferry that started it
) STRICT;
CREATE INDEX runs_by_job ON runs (job, seq);

-- state 1: intent, written and synced before the first byte; 2: result, written and synced after
CREATE TABLE steps (
    run   INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    name  TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (1, 2)),
    value TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (
    run   INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE parts (
    run         INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    part        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL DEFAULT 0,
    records     INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    remote_id   TEXT,
    accepted    INTEGER NOT NULL DEFAULT 0,
    accepted_ms INTEGER,
    PRIMARY KEY (run, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE notes (
    run  INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    note TEXT NOT NULL,
    PRIMARY KEY (run, note)
) STRICT;

-- every slot taken of every quota, by all runs and processes
CREATE TABLE slots (
    quota       TEXT NOT NULL,
    taken_ms    INTEGER NOT NULL,
    reserved_by INTEGER                       -- seq of the run that reserved it and has not used it yet
) STRICT;
CREATE INDEX slots_by_quota ON slots (quota, taken_ms);
