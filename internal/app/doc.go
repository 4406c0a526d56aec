// Package app puts the service together: it is the one place where the whole
// graph is visible, from the connection to the adapters. It reads no file, no
// flag and no environment; the command does that and hands the values in. It
// owns what it starts: Run returns when all of it has stopped.
package app
