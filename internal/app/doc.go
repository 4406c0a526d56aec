// Package app puts the service together. New shows the whole graph, from the
// connection to the adapters, and lists the services that Run starts and stops.
// The package reads no file, no flag and no environment; the command does that
// and hands the values in. Run returns when everything it started has stopped.
package app
