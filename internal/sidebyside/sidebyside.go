// Package sidebyside runs the tests of a package that waits more than it
// computes: for timers of whole seconds, for time-outs, for other processes. It
// is for tests alone.
package sidebyside

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
)

// factor is how many parallel tests share a processor.
const factor = 4

// Run runs a package's tests as m.Run does, and returns the exit code. It lets
// more of them run in parallel than there are processors, unless the command
// line says how many.
func Run(m *testing.M) int {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		if err := flag.Set("test.parallel", fmt.Sprint(factor*runtime.GOMAXPROCS(0))); err != nil {
			panic(err) // the flag is package testing's
		}
	}
	return m.Run()
}
