-- Text compares by the bytes of its UTF-8 (BINARY), which is the order that every storage promises.
CREATE TABLE entry (
    path TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Times are milliseconds since the Unix epoch. A claimed timer can be claimed again from claimed_until on.
CREATE TABLE timer (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    due INTEGER NOT NULL,
    claimed_until INTEGER,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX timer_ready ON timer (coalesce(claimed_until, due));

CREATE TABLE epoch (n INTEGER NOT NULL) STRICT;

INSERT INTO epoch (n) VALUES (0);

CREATE TABLE change (
    n INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (n, kind, key)
) STRICT, WITHOUT ROWID;
