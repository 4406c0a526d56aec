// Package streams reads the extents of the streams, and keeps marks in the
// bucket beside the pauses, for package integrity/keeper. It asks the leaders by
// JetStream's API and creates nothing.
package streams
