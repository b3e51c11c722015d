"""The tables of accounts in PostgreSQL, and the statements that lock and save their rows, many at a time."""

ACCOUNT = "bucket, start, spent, held, running, requests_at, tokens_at"
RESERVATION = "id, state, amount, tokens, cost, time, until, price, booked"
LOCK_RESERVATIONS = f"SELECT {RESERVATION} FROM reservations WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE"  # noqa: S608 - our own names
PAIRS = "unnest($1::text[], $2::bigint[]) AS pair (bucket, start)"
LOCK_ACCOUNTS = f"""
    SELECT {ACCOUNT} FROM accounts JOIN {PAIRS} USING (bucket, start) ORDER BY bucket, start FOR UPDATE OF accounts"""  # noqa: S608 - our own names
NEW_ACCOUNTS = f"""
    INSERT INTO accounts (bucket, start) SELECT bucket, start FROM {PAIRS} ORDER BY bucket, start
    ON CONFLICT DO NOTHING"""  # noqa: S608 - our own names
SAVE_ACCOUNTS = """
    UPDATE accounts SET spent = new.spent, held = new.held, running = new.running,
        requests_at = new.requests_at, tokens_at = new.tokens_at
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS new (bucket, start, spent, held, running, requests_at, tokens_at)
    WHERE accounts.bucket = new.bucket AND accounts.start = new.start"""
SAVE_RESERVATIONS = f"""
    INSERT INTO reservations ({RESERVATION})
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::float8[], $7::float8[], $8::text[], $9::text[])
    ON CONFLICT (id) DO UPDATE
    SET state = excluded.state, cost = excluded.cost, amount = excluded.amount, tokens = excluded.tokens,
        until = excluded.until"""  # noqa: S608 - our own names

MIGRATIONS = {
    "accounts_and_reservations": """
        CREATE TABLE accounts (
            bucket text COLLATE "C" NOT NULL, start bigint NOT NULL,
            spent bigint NOT NULL DEFAULT 0 CHECK (spent >= 0), held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
            running bigint NOT NULL DEFAULT 0 CHECK (running >= 0),
            requests_at bigint NOT NULL DEFAULT 0, tokens_at bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (bucket, start)
        ) WITH (fillfactor = 50);
        CREATE TABLE reservations (
            id text COLLATE "C" PRIMARY KEY,
            state text NOT NULL CHECK (state IN ('open', 'settled', 'abandoned', 'swept')),
            amount bigint NOT NULL, tokens bigint NOT NULL, cost bigint,
            time float8 NOT NULL, until float8 NOT NULL, price text NOT NULL, booked text NOT NULL
        );
        CREATE INDEX reservations_open ON reservations (until) WHERE state = 'open'""",
}
"""What makes the schema, step by step; a step is never changed once released."""
