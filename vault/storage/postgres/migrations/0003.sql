-- A unit may stand on facts that are older than the newest change, where nothing that changed since is what it stands on.

-- As before, and more: `unit_spared` is the kind of facts of which others than its own (`basis_keys`) may have changed since
-- its epoch, or null where none may. The change that its epoch is must still be known.
CREATE FUNCTION commit_batch(
    the_batch uuid, step bigint,
    units int[], unit_epochs bigint[],
    read_units int[], read_paths text[], read_versions bigint[],
    range_units int[], range_starts text[], range_ends text[], range_counts bigint[], range_versions bigint[],
    row_units int[], row_paths text[], row_values bytea[], row_parts uuid[],
    timer_units int[], timer_kinds text[], timer_keys text[], timer_dues bigint[], timer_attempts int[],
    untrue_units int[], untrue_kinds text[], untrue_keys text[],
    unit_spared text[], basis_units int[], basis_keys text[],
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
        SELECT known.unit FROM unnest(units, unit_epochs, unit_spared) AS known (unit, n, spared)
        WHERE known.n <> commit_batch.epoch AND (
            known.spared IS NULL OR NOT EXISTS (SELECT FROM change WHERE change.n = known.n) OR EXISTS (
                SELECT FROM change WHERE change.n > known.n AND (
                    change.kind <> known.spared OR EXISTS (
                        SELECT FROM unnest(basis_units, basis_keys) AS stood (unit, key)
                        WHERE stood.unit = known.unit AND stood.key = change.key
                    )
                )
            )
        )
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

-- For servers of the release before.
CREATE OR REPLACE FUNCTION commit_batch(
    the_batch uuid, step bigint,
    units int[], unit_epochs bigint[],
    read_units int[], read_paths text[], read_versions bigint[],
    range_units int[], range_starts text[], range_ends text[], range_counts bigint[], range_versions bigint[],
    row_units int[], row_paths text[], row_values bytea[], row_parts uuid[],
    timer_units int[], timer_kinds text[], timer_keys text[], timer_dues bigint[], timer_attempts int[],
    untrue_units int[], untrue_kinds text[], untrue_keys text[],
    OUT failed int[], OUT epoch bigint, OUT version bigint
)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$
    SELECT * FROM commit_batch(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        '{}'::text[], '{}'::int[], '{}'::text[]
    )
$$;
