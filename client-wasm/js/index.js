// All of the client: the class, and the element it is used by.
export { Player, RoomError } from './player.js';
export { FanfarePlayer } from './element.js';
