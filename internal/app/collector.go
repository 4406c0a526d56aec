package app

import "runtime/debug"

// collectorPercent is how much of the memory in use may be added before the
// garbage collector runs. In use are few megabytes, so that Go's own 100 has it
// run 30 times a second at full load; 200 costs 12 MB more and takes a tenth
// off the price of a command. A higher figure gains nothing that can be measured.
const collectorPercent = 200

// TuneCollector sets the collector for the whole process, unless the
// environment's GOGC does. GOMEMLIMIT holds beside it: it should be nine tenths
// of a container's memory.
func TuneCollector(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(collectorPercent)
	}
}
