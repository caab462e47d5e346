-- The state of listferry, version 1. A change here is a new version and a migration in mod.rs.
CREATE TABLE runs (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    job          TEXT NOT NULL,               -- hash of name, platform, base_url, account and target
    name         TEXT NOT NULL,
    platform     TEXT NOT NULL,
    job_file     TEXT,
    overrides    TEXT NOT NULL,               -- JSON array of key.path=value, without secrets
    fingerprint  TEXT NOT NULL,               -- hash of source, where and map
    random       TEXT NOT NULL,
    date         TEXT NOT NULL,
    started_ms   INTEGER NOT NULL,
    ended_ms     INTEGER,
    closed       INTEGER NOT NULL DEFAULT 0,  -- 1: ended for good, nothing of it is taken up again
    exit_code    INTEGER,                     -- NULL: running, or killed
    measured     TEXT,                        -- JSON: what pass one found
    report       TEXT,                        -- JSON
    rejects_file TEXT
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
    run       INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    part      INTEGER NOT NULL,
    bytes     INTEGER NOT NULL DEFAULT 0,
    records   INTEGER NOT NULL DEFAULT 0,
    attempts  INTEGER NOT NULL DEFAULT 0,
    remote_id TEXT,
    accepted  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, part)
) STRICT, WITHOUT ROWID;

-- rows that the platform rejected, by output index or by key
CREATE TABLE faults (
    run     INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    grp     TEXT NOT NULL,
    place   INTEGER NOT NULL,                 -- the output index; the greatest integer where only the key is known
    key     TEXT,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX faults_by_place ON faults (run, place);

CREATE TABLE fault_counts (
    run   INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    grp   TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (run, grp)
) STRICT, WITHOUT ROWID;

CREATE TABLE notes (
    run  INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    note TEXT NOT NULL,
    PRIMARY KEY (run, note)
) STRICT;

-- every slot taken of every quota, by all runs and processes
CREATE TABLE slots (
    quota    TEXT NOT NULL,
    taken_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX slots_by_quota ON slots (quota, taken_ms);
