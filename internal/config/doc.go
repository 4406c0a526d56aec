// Package config reads the service's configuration file.
//
// Load gives a complete, valid Config or all faults at once, each with file,
// line, key and the rule it breaks. It is strict: unknown and repeated keys,
// values of another type, anchors and tags are refused, and so is a secret that
// stands in the file itself. A secret is given as {file: PATH} or {env: NAME}.
//
// No value from the file ever enters a fault: what stands in a wrong place may
// be a secret. The package opens the configuration file and the secrets' files
// and looks at nothing else; the environment is handed in.
package config
