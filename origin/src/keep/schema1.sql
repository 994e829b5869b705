-- Moments are microseconds since the Unix epoch. The archive's tables follow.

-- What the worker of a room was handed since its snapshot.
CREATE TABLE journal (
  room TEXT NOT NULL,
  seq INTEGER NOT NULL,
  now INTEGER NOT NULL,
  inputs BLOB NOT NULL,
  PRIMARY KEY (room, seq)
);

-- The worker's state after the batch of that number.
CREATE TABLE snapshots (
  room TEXT NOT NULL PRIMARY KEY,
  seq INTEGER NOT NULL,
  state BLOB NOT NULL
);
