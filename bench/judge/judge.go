// Package judge says whether a contestant did its job, and turns measurements
// into figures. It is pure; all values are plain.
package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/countermand/countermand/bench/job"
)

// Verdict is what is wrong with a contestant's results; the zero value is nothing.
type Verdict struct {
	Commands int `json:"commands"`
	Missing  int `json:"missing"` // commands without a result
	Doubled  int `json:"doubled"` // results beyond one for a command
	Foreign  int `json:"foreign"` // results that belong to no command
	Wrong    int `json:"wrong"`   // results with another key, amount or status
}

// Right reports whether there is exactly one right result for each command.
func (v Verdict) Right() bool { return v.Missing+v.Doubled+v.Foreign+v.Wrong == 0 }

// String is the verdict in a few words.
func (v Verdict) String() string {
	if v.Right() {
		return fmt.Sprintf("%d of %d right", v.Commands, v.Commands)
	}
	return fmt.Sprintf("WRONG: of %d commands %d without result, %d results doubled, %d foreign, %d with wrong content", v.Commands, v.Missing, v.Doubled, v.Foreign, v.Wrong)
}

// Check compares the results' messages with the commands of the numbers from
// first up to, not including, end.
func Check(first, end int, results [][]byte) Verdict {
	v := Verdict{Commands: end - first}
	seen := make([]bool, v.Commands)
	for _, b := range results {
		o, err := job.ReadResult(b)
		n, ours := job.Of(o.Payment)
		switch {
		case err != nil || !ours || n >= end:
			v.Foreign++
			continue
		case n < first: // of an earlier run, where it had its result
			v.Doubled++
			continue
		case seen[n-first]:
			v.Doubled++
			continue
		}
		seen[n-first] = true
		if want := job.Number(n); o.Key != want.Key || o.Moved != want.Amount || o.Status != "succeeded" {
			v.Wrong++
		}
	}
	for _, s := range seen {
		if !s {
			v.Missing++
		}
	}
	return v
}

// Percentile is the smallest of the values that at least p of 100 do not exceed
// (nearest rank); 0 of none. The values need no order and are left as they are.
func Percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Spread is a figure of several rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Over is the spread of a figure's values; of none it is all zero.
func Over(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// Ratio is a by b, or 0 where b is 0 and nothing can be said.
func Ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Slope is that of the straight line through the points with the least squares;
// 0 of fewer than two, or where all have one x.
func Slope(x, y []float64) float64 {
	n := float64(min(len(x), len(y)))
	var sx, sy, sxx, sxy float64
	for i := range int(n) {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	return Ratio(n*sxy-sx*sy, n*sxx-sx*sx)
}
