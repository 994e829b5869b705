-- The votes of closed polls, by option. strangers: those of fans without a token, among the votes.
CREATE TABLE poll_results (
  row INTEGER PRIMARY KEY,
  room TEXT NOT NULL,
  poll INTEGER NOT NULL,
  option INTEGER NOT NULL,
  votes INTEGER NOT NULL,
  strangers INTEGER NOT NULL,
  UNIQUE (room, poll, option)
);
