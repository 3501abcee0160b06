-- Which servers there are.

-- Servers that lately said that they live: written outside the turn, as nothing rests on it but what is shown, and migrations.
CREATE TABLE node (
    id text COLLATE "C" PRIMARY KEY,
    hostname text NOT NULL,
    api_addr text NOT NULL,
    cluster_addr text NOT NULL,
    version text NOT NULL,
    api text NOT NULL,
    schema int NOT NULL,
    serves boolean NOT NULL,
    aside timestamptz NOT NULL,
    seen timestamptz NOT NULL
);

CREATE FUNCTION meet(
    id text, hostname text, api_addr text, cluster_addr text, version text, api text, schema int, serves boolean,
    aside interval, patience interval
)
RETURNS SETOF node
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    DELETE FROM node USING (
        SELECT node.id FROM node WHERE node.seen < clock_timestamp() - meet.patience FOR UPDATE SKIP LOCKED
    ) AS dead WHERE node.id = dead.id;
    INSERT INTO node (id, hostname, api_addr, cluster_addr, version, api, schema, serves, aside, seen)
        VALUES (
            meet.id, meet.hostname, meet.api_addr, meet.cluster_addr, meet.version, meet.api, meet.schema, meet.serves,
            clock_timestamp() + meet.aside, clock_timestamp()
        )
    ON CONFLICT (id) DO UPDATE
        SET cluster_addr = excluded.cluster_addr, version = excluded.version, api = excluded.api, schema = excluded.schema,
            serves = excluded.serves, aside = greatest(node.aside, excluded.aside), seen = excluded.seen;
    RETURN QUERY SELECT node.* FROM node ORDER BY node.api_addr, node.hostname;
END
$$;

CREATE FUNCTION part(id text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = coffre, pg_temp
AS $$ DELETE FROM node WHERE node.id = part.id $$;
