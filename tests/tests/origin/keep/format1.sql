-- A file of the first format, with a row in each table. The tables are as its version created them.

CREATE TABLE journal (
  room TEXT NOT NULL,
  seq INTEGER NOT NULL,
  now INTEGER NOT NULL,
  inputs BLOB NOT NULL,
  PRIMARY KEY (room, seq)
);

CREATE TABLE snapshots (
  room TEXT NOT NULL PRIMARY KEY,
  seq INTEGER NOT NULL,
  state BLOB NOT NULL
);

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

INSERT INTO journal VALUES ('demo', 8, 1800000000000000, x'0102');
INSERT INTO snapshots VALUES ('demo', 7, x'0a0b0c');
INSERT INTO lines VALUES (1, 'demo', 5, 1800000000000001, '0000000000000ada', 'ada', 'kept since the first format', 4, 'everyone');
INSERT INTO gifts VALUES (1, 'demo', 6, 1800000000000002, '0000000000000b0b', 'bob', 2, 3, 10, '000000000000004d');
INSERT INTO polls VALUES (1, 'demo', 1, 1800000000000003, 'Encore?', 1800000000000009);
INSERT INTO poll_options VALUES (1, 'demo', 1, 0, 'yes');
INSERT INTO votes VALUES (1, 'demo', 1, '0000000000000ada', 0);
INSERT INTO questions VALUES (1, 'demo', 1, 1800000000000004, '0000000000000ada', 'ada', 'when?', NULL, NULL, NULL);
INSERT INTO visits VALUES (1, 'demo', 1800000000000005, '0000000000000ada', 9000, 8000, 70, 12);
INSERT INTO audit VALUES (1, 'demo', 1800000000000006, '0000000000000ada', 'ban', '0000000000000b0b', 0);
PRAGMA application_id = 1180790374;
PRAGMA user_version = 1;
