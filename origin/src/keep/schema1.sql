-- Moments are microseconds since the Unix epoch. The archive's tables follow.

-- The batches that a room's worker was handed since its snapshot.
CREATE TABLE journal (
  room TEXT NOT NULL,
  seq INTEGER NOT NULL,
  now INTEGER NOT NULL,
  inputs BLOB NOT NULL,
  PRIMARY KEY (room, seq)
);

-- The worker's state after batch `seq`.
CREATE TABLE snapshots (
  room TEXT NOT NULL PRIMARY KEY,
  seq INTEGER NOT NULL,
  state BLOB NOT NULL
);
