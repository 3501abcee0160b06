-- Every commit leaves a stamp that no other has, and epochs grow by steps that nobody can foresee: so a state of the
-- database is known again, and one that was put in its place is not taken for it. The older table goes, so that a
-- process of an older release that still runs fails instead of committing without a stamp.
CREATE TABLE head (
    epoch INTEGER NOT NULL,
    stamp INTEGER NOT NULL
) STRICT;

INSERT INTO head (epoch, stamp) SELECT n, 1 + (random() & 4611686018427387903) FROM epoch;

DROP TABLE epoch;
