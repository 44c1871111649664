-- An event that is delivered twice is here once; only the first delivery is counted below.
CREATE TABLE events (
    event_id    uuid        PRIMARY KEY,
    kind        text        NOT NULL,
    user_id     uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    payload     jsonb       NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);

-- What each user ever did. A deletion takes nothing back.
CREATE TABLE user_stats (
    user_id         uuid        PRIMARY KEY,
    events          bigint      NOT NULL,
    total_tasks     bigint      NOT NULL,
    completed_tasks bigint      NOT NULL,
    total_habits    bigint      NOT NULL,
    best_streak     integer     NOT NULL,
    last_event_at   timestamptz NOT NULL
);

CREATE TABLE daily_events (
    day    date   NOT NULL,
    kind   text   NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (day, kind)
);
