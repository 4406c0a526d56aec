// Package publish reads commands from files, checks every one of them as the
// consumer will, and publishes them. Nothing goes out unless all are valid,
// or the caller asks to skip the others. Faults name file, line and field.
package publish
