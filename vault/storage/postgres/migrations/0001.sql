-- What a vault keeps in PostgreSQL, in a schema of its own that is the search path while this runs.

CREATE TABLE meta (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version int NOT NULL DEFAULT 0,
    -- The schema of the oldest release that works with these tables. A migration that older ones cannot live with raises it.
    oldest int NOT NULL DEFAULT 1,
    vault uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO meta DEFAULT VALUES;

-- Ciphertext does not compress.
CREATE TABLE entry (
    path text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL,
    version bigint NOT NULL
);
ALTER TABLE entry ALTER COLUMN value SET STORAGE EXTERNAL;

CREATE TABLE timer (
    kind text COLLATE "C",
    key text COLLATE "C",
    due bigint NOT NULL,
    claimed_until bigint,
    attempts int NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX timer_ready ON timer (coalesce(claimed_until, due));

-- What became untrue. The epoch is the highest n: read by the index, as a row of its own would leave dead versions.
CREATE TABLE change (
    n bigint,
    kind text COLLATE "C",
    key text COLLATE "C",
    PRIMARY KEY (n, kind, key)
);

CREATE VIEW head AS SELECT coalesce((SELECT n FROM change ORDER BY n DESC LIMIT 1), 0) AS newest;

-- The cluster's turn to write: one row, that is locked and never changed.
CREATE TABLE turn (id int PRIMARY KEY);
INSERT INTO turn VALUES (1);

-- Drawn in the turn, so that versions grow in the order of commits: a range whose count and highest version are as they
-- were has not changed.
CREATE SEQUENCE seq CACHE 1;

-- How each batch ended, for a node that lost its connection while it waited to hear that.
CREATE TABLE done (
    batch uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    failed int[] NOT NULL,
    epoch bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX done_at ON done (at);

-- Pieces of a value that is too long to be sent at once, until its transaction commits.
CREATE TABLE part (
    id uuid,
    n int,
    data bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, n)
);
ALTER TABLE part ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX part_at ON part (at);

CREATE FUNCTION take_turn() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$ SELECT FROM turn FOR UPDATE $$;

-- Commits many transactions in one statement. Each is a unit, numbered; one that read what is not so any more is among
-- `failed`, and nothing of it is kept. A row without a value is removed, a timer without a moment cancelled. No row and no
-- timer comes twice. READ COMMITTED: each statement in here sees all that was committed before the turn was ours.
CREATE FUNCTION commit_batch(
    the_batch uuid, step bigint,
    units int[], unit_epochs bigint[],
    read_units int[], read_paths text[], read_versions bigint[],
    range_units int[], range_starts text[], range_ends text[], range_counts bigint[], range_versions bigint[],
    row_units int[], row_paths text[], row_values bytea[], row_parts uuid[],
    timer_units int[], timer_kinds text[], timer_keys text[], timer_dues bigint[], timer_attempts int[],
    untrue_units int[], untrue_kinds text[], untrue_keys text[],
    OUT failed int[], OUT epoch bigint, OUT version bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM turn FOR UPDATE;
    version := nextval('seq');
    epoch := (SELECT newest FROM head);
    SELECT coalesce(array_agg(DISTINCT unit), '{}') INTO failed FROM (
        SELECT known.unit FROM unnest(units, unit_epochs) AS known (unit, n)
        WHERE known.n <> commit_batch.epoch
        UNION ALL
        SELECT seen.unit FROM unnest(read_units, read_paths, read_versions) AS seen (unit, path, version)
        LEFT JOIN entry ON entry.path = seen.path
        WHERE coalesce(entry.version, 0) <> seen.version
        UNION ALL
        SELECT seen.unit
        FROM unnest(range_units, range_starts, range_ends, range_counts, range_versions)
            AS seen (unit, first, beyond, count, version),
        LATERAL (
            SELECT count(*) AS count, coalesce(max(entry.version), 0) AS version FROM entry
            WHERE entry.path >= seen.first AND entry.path < seen.beyond
        ) AS now
        WHERE (now.count, now.version) IS DISTINCT FROM (seen.count, seen.version)
    ) AS stale;
    INSERT INTO entry (path, value, version)
        SELECT given.path, CASE WHEN given.part IS NULL THEN given.value ELSE (
                SELECT string_agg(part.data, ''::bytea ORDER BY part.n) FROM part WHERE part.id = given.part
            ) END, commit_batch.version
        FROM unnest(row_units, row_paths, row_values, row_parts) AS given (unit, path, value, part)
        WHERE num_nonnulls(given.value, given.part) > 0 AND given.unit <> ALL (commit_batch.failed)
    ON CONFLICT (path) DO UPDATE SET value = excluded.value, version = excluded.version;
    DELETE FROM entry USING unnest(row_units, row_paths, row_values, row_parts) AS given (unit, path, value, part)
        WHERE entry.path = given.path AND num_nonnulls(given.value, given.part) = 0 AND given.unit <> ALL (commit_batch.failed);
    DELETE FROM part USING unnest(row_parts) AS given (id) WHERE part.id = given.id;
    INSERT INTO timer (kind, key, due, claimed_until, attempts)
        SELECT given.kind, given.key, given.due, NULL, given.attempts
        FROM unnest(timer_units, timer_kinds, timer_keys, timer_dues, timer_attempts)
            AS given (unit, kind, key, due, attempts)
        WHERE given.due IS NOT NULL AND given.unit <> ALL (commit_batch.failed)
    ON CONFLICT (kind, key) DO UPDATE
        SET due = excluded.due, claimed_until = NULL, attempts = excluded.attempts;
    DELETE FROM timer USING unnest(timer_units, timer_kinds, timer_keys, timer_dues) AS given (unit, kind, key, due)
        WHERE timer.kind = given.kind AND timer.key = given.key AND given.due IS NULL
            AND given.unit <> ALL (commit_batch.failed);
    IF cardinality(untrue_units) > 0 THEN
        INSERT INTO change (n, kind, key)
            SELECT DISTINCT commit_batch.epoch + commit_batch.step, given.kind, given.key
            FROM unnest(untrue_units, untrue_kinds, untrue_keys) AS given (unit, kind, key)
            WHERE given.unit <> ALL (commit_batch.failed);
        IF FOUND THEN
            epoch := epoch + step;
        END IF;
        IF version % 128 = 0 OR cardinality(untrue_units) >= 128 THEN
            DELETE FROM change WHERE n <= (SELECT n FROM change ORDER BY n DESC OFFSET 10000 LIMIT 1)
                AND n < commit_batch.epoch;
        END IF;
    END IF;
    INSERT INTO done (batch, failed, epoch, version)
        VALUES (the_batch, commit_batch.failed, commit_batch.epoch, commit_batch.version);
    IF version % 1024 = 0 THEN
        DELETE FROM done WHERE at < now() - interval '1 hour';
        DELETE FROM part WHERE at < now() - interval '1 hour';
    END IF;
END
$$;

CREATE FUNCTION add_part(id uuid, n int, data bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$ INSERT INTO part (id, n, data) VALUES (add_part.id, add_part.n, add_part.data) $$;

-- Tells how a batch ended of which no answer came. One that is not done by now never will be: its number is taken.
CREATE FUNCTION settle_batch(the_batch uuid, OUT failed int[], OUT epoch bigint, OUT version bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM turn FOR UPDATE;
    INSERT INTO done (batch, failed, epoch, version) VALUES (the_batch, '{}', 0, 0) ON CONFLICT DO NOTHING;
    SELECT done.failed, done.epoch, done.version INTO failed, epoch, version FROM done WHERE batch = the_batch;
END
$$;

CREATE FUNCTION remove_range(first text, beyond text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$
DECLARE
    removed bigint;
BEGIN
    PERFORM FROM turn FOR UPDATE;
    DELETE FROM entry WHERE path >= first AND path < beyond;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;

CREATE FUNCTION claim(at bigint, most int, until bigint)
RETURNS TABLE (kind text, key text, due bigint, attempts int)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$
    UPDATE timer SET claimed_until = claim.until, attempts = timer.attempts + 1
    FROM (
        SELECT timer.kind, timer.key FROM timer WHERE coalesce(claimed_until, timer.due) <= claim.at
        ORDER BY coalesce(claimed_until, timer.due), timer.kind, timer.key
        LIMIT claim.most FOR UPDATE SKIP LOCKED
    ) AS ready
    WHERE timer.kind = ready.kind AND timer.key = ready.key
    RETURNING timer.kind, timer.key, timer.due, timer.attempts - 1
$$;
