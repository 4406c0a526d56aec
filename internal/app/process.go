package app

import "runtime/debug"

// collectorPercent is how much the heap may grow before the garbage collector
// runs. The heap is only a few megabytes, so that Go's default of 100 runs the
// collector 30 times a second at full load. With 200 a command costs a tenth less,
// for 12 MB more. Higher figures gain nothing that can be measured.
const collectorPercent = 200

// TuneCollector sets the garbage collector for the whole process, unless the
// environment's GOGC does. GOMEMLIMIT still applies: set it to nine tenths of the
// container's memory.
func TuneCollector(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(collectorPercent)
	}
}

// Version is the program's version as the go command stamped it into the binary:
// a tag, a pseudo-version or "(devel)"; "unknown" without a stamp.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
