-- People who are being erased: by `room`, the last room that is done, an interrupted erasure goes on. `done`: once all
-- rooms have forgotten them. The row goes when the file has been rewritten.
CREATE TABLE forgets (
  fan TEXT NOT NULL PRIMARY KEY,
  begun INTEGER NOT NULL,
  room TEXT NOT NULL,
  done INTEGER
);

-- The last moment at which a room that has a journal had a show, or was first seen without one.
CREATE TABLE shows (
  room TEXT NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL
);
