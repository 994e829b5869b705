-- Moments are microseconds since the Unix epoch. Fans and keys of gifts are 16 hexadecimal digits.
-- row: in the order in which they came, and not given out anew when the file is rewritten.

-- What was said. seen: everyone, held (for moderators), author (alone), nobody.
CREATE TABLE lines (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  id INTEGER NOT NULL,
  at INTEGER NOT NULL,
  fan TEXT NOT NULL,
  name TEXT NOT NULL,
  text TEXT NOT NULL,
  reply INTEGER,
  seen TEXT NOT NULL,
  UNIQUE (room, id)
);
CREATE INDEX lines_fan ON lines (fan);
CREATE INDEX lines_at ON lines (at);

-- What was given. value: of one, when it was given.
CREATE TABLE gifts (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  id INTEGER NOT NULL,
  at INTEGER NOT NULL,
  fan TEXT NOT NULL,
  name TEXT NOT NULL,
  gift INTEGER NOT NULL,
  count INTEGER NOT NULL,
  value INTEGER NOT NULL,
  key TEXT NOT NULL,
  UNIQUE (room, id)
);
CREATE UNIQUE INDEX gifts_key ON gifts (fan, key, room);
CREATE INDEX gifts_at ON gifts (at);

CREATE TABLE polls (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  poll INTEGER NOT NULL,
  at INTEGER NOT NULL,
  question TEXT NOT NULL,
  closed INTEGER,
  UNIQUE (room, poll)
);
CREATE INDEX polls_closed ON polls (closed);

CREATE TABLE poll_options (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  poll INTEGER NOT NULL,
  option INTEGER NOT NULL,
  text TEXT NOT NULL,
  UNIQUE (room, poll, option)
);

CREATE TABLE votes (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  poll INTEGER NOT NULL,
  fan TEXT NOT NULL,
  option INTEGER NOT NULL,
  UNIQUE (room, poll, fan)
);
CREATE INDEX votes_fan ON votes (fan);

-- answered: 1 answered, 0 dismissed, NULL neither yet. votes: once it is one of the two.
CREATE TABLE questions (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  question INTEGER NOT NULL,
  at INTEGER NOT NULL,
  fan TEXT NOT NULL,
  name TEXT NOT NULL,
  text TEXT NOT NULL,
  done INTEGER,
  answered INTEGER,
  votes INTEGER,
  UNIQUE (room, question)
);
CREATE INDEX questions_fan ON questions (fan);
CREATE INDEX questions_at ON questions (at);

-- Connections that have ended.
CREATE TABLE visits (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  at INTEGER NOT NULL,
  fan TEXT NOT NULL,
  total_ms INTEGER NOT NULL,
  watched_ms INTEGER NOT NULL,
  active_ms INTEGER NOT NULL,
  interactions INTEGER NOT NULL
);
CREATE INDEX visits_room ON visits (room);
CREATE INDEX visits_fan ON visits (fan);
CREATE INDEX visits_at ON visits (at);

-- Who moderated. by: a fan; NULL for the room's owner; 'forgotten' for somebody who was. fan: whom it was done to.
-- number: the line, poll or question, or for how many seconds.
CREATE TABLE audit (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  at INTEGER NOT NULL,
  by TEXT,
  act TEXT NOT NULL,
  fan TEXT,
  number INTEGER NOT NULL
);
CREATE INDEX audit_room ON audit (room);
CREATE INDEX audit_fan ON audit (fan);
CREATE INDEX audit_by ON audit (by);
CREATE INDEX audit_at ON audit (at);
