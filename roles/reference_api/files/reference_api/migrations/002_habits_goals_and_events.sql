-- Every primary key begins with the user id (see 001), so that all of a user's rows move together with the user's bucket.

CREATE TABLE habits (
    user_id     uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    description text,
    -- What check_ins says, kept up by each check-in under the row's lock: a listing need not count days.
    best_streak integer     NOT NULL DEFAULT 0,
    last_streak integer     NOT NULL DEFAULT 0,
    last_day    date,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);

CREATE TABLE check_ins (
    user_id    uuid        NOT NULL,
    habit_id   uuid        NOT NULL,
    day        date        NOT NULL,
    -- Tells whose check-in it was that came first.
    id         uuid        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, habit_id, day),
    FOREIGN KEY (user_id, habit_id) REFERENCES habits (user_id, id) ON DELETE CASCADE
);

CREATE TABLE goals (
    user_id      uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id           uuid        NOT NULL,
    title        text        NOT NULL,
    description  text,
    target       integer     NOT NULL CHECK (target > 0),
    progress     integer     NOT NULL DEFAULT 0 CHECK (progress >= 0),
    due_at       timestamptz,
    completed_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id),
    CHECK ((progress >= target) = (completed_at IS NOT NULL))
);

CREATE TABLE notifications (
    user_id    uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id         uuid        NOT NULL,
    event_id   uuid        NOT NULL,
    kind       text        NOT NULL,
    message    text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at    timestamptz,
    PRIMARY KEY (user_id, id),
    -- An event that is delivered twice notifies once.
    UNIQUE (user_id, event_id)
);

-- No foreign key: the event of a user's deletion outlives the user.
CREATE TABLE outbox (
    user_id    uuid        NOT NULL,
    id         uuid        NOT NULL,
    kind       text        NOT NULL,
    payload    jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
