//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/countermand/countermand/internal/program"
)

// tick is the unit of a process's times in /proc: USER_HZ, 100 on every Linux
// that Go runs on.
const tick = 10 * time.Millisecond

// usage is what processes have used since they started.
type usage struct {
	cpu  time.Duration
	peak int64 // bytes: the sum of their peaks of resident memory
	now  int64 // bytes resident now
}

// used sums the processes and all their descendants. A process that has ended
// counts with its parent's, where the kernel keeps the time of children waited for.
func used(all ...*program.Program) usage {
	var sum usage
	parents := children()
	for _, p := range all {
		if !p.Alive() {
			continue
		}
		queue := []int{p.PID()}
		for len(queue) > 0 {
			sum.add(queue[0])
			queue = append(queue[1:], parents[queue[0]]...)
		}
	}
	return sum
}

func (u *usage) add(pid int) {
	fields := stat(pid)
	if len(fields) < 15 {
		return
	}
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.ParseInt(f, 10, 64)
		u.cpu += time.Duration(n) * tick
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	u.peak += kilobytes(status, "VmHWM:")
	u.now += kilobytes(status, "VmRSS:")
}

// stat returns the fields of /proc/PID/stat from the third on: the second, the
// program's name, may hold anything.
func stat(pid int) []string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // gone: no fields
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

func kilobytes(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// children maps each process to those it started.
func children() map[int][]int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	out := map[int][]int{}
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if fields := stat(pid); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			out[parent] = append(out[parent], pid)
		}
	}
	return out
}

// ownCPU is what this process has computed.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
