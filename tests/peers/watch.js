// The element <moq-watch>, as it is published, and nothing of ours.
export { default as MoqWatch } from "@moq/watch/element";
