package judge_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/bench/judge"
)

// results are right ones for the commands from first up to end.
func results(t *testing.T, first, end int) [][]byte {
	t.Helper()
	var out [][]byte
	for i := first; i < end; i++ {
		c := job.Number(i)
		b, err := c.Result(c.Amount)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func TestOneRightResultForEachCommandIsRight(t *testing.T) {
	t.Parallel()
	got := judge.Check(5, 25, results(t, 5, 25))
	if !got.Right() || got.Commands != 20 {
		t.Errorf("the verdict is %s", got)
	}
}

func TestEachPlantedFaultIsSeen(t *testing.T) {
	t.Parallel()
	const first, end = 5, 25
	replaced := func(of, by string) func([][]byte) [][]byte {
		return func(r [][]byte) [][]byte {
			r[3] = bytes.Replace(r[3], []byte(of), []byte(by), 1)
			return r
		}
	}
	for name, c := range map[string]struct {
		spoil func([][]byte) [][]byte
		want  judge.Verdict
	}{
		"one missing":            {func(r [][]byte) [][]byte { return r[1:] }, judge.Verdict{Commands: 20, Missing: 1}},
		"none at all":            {func([][]byte) [][]byte { return nil }, judge.Verdict{Commands: 20, Missing: 20}},
		"one doubled":            {func(r [][]byte) [][]byte { return append(r, r[7]) }, judge.Verdict{Commands: 20, Doubled: 1}},
		"one three times":        {func(r [][]byte) [][]byte { return append(r, r[7], r[7]) }, judge.Verdict{Commands: 20, Doubled: 2}},
		"one in another's place": {func(r [][]byte) [][]byte { r[2] = r[3]; return r }, judge.Verdict{Commands: 20, Doubled: 1, Missing: 1}},
		"one of an earlier run":  {func(r [][]byte) [][]byte { return append(r, results(t, 4, 5)...) }, judge.Verdict{Commands: 20, Doubled: 1}},
		"one of no command":      {func(r [][]byte) [][]byte { return append(r, results(t, 25, 26)...) }, judge.Verdict{Commands: 20, Foreign: 1}},
		"one unreadable":         {func(r [][]byte) [][]byte { return append(r, []byte("{")) }, judge.Verdict{Commands: 20, Foreign: 1}},
		"another amount":         {replaced(`"value":108`, `"value":109`), judge.Verdict{Commands: 20, Wrong: 1}},
		"another key":            {replaced("return-000000008", "return-000000009"), judge.Verdict{Commands: 20, Wrong: 1}},
		"another status":         {replaced("succeeded\"}}", "failed\"}}"), judge.Verdict{Commands: 20, Wrong: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge.Check(first, end, c.spoil(results(t, first, end)))
			if got != c.want || got.Right() {
				t.Errorf("the verdict is %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for _, c := range []struct {
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 1, 7},
		{[]time.Duration{7}, 99, 7},
		{[]time.Duration{3, 1, 2}, 50, 2},
		{[]time.Duration{4, 1, 2, 3}, 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{hundred[:10], 99, 100},
	} {
		if got := judge.Percentile(c.values, c.p); got != c.want {
			t.Errorf("percentile %v of %d values is %d, want %d", c.p, len(c.values), got, c.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("the values were put in order")
	}
}

func TestASpreadIsMedianLeastAndMost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   judge.Spread
	}{
		{nil, judge.Spread{}},
		{[]float64{3}, judge.Spread{Median: 3, Min: 3, Max: 3}},
		{[]float64{9, 1, 4}, judge.Spread{Median: 4, Min: 1, Max: 9}},
		{[]float64{9, 1, 4, 6}, judge.Spread{Median: 5, Min: 1, Max: 9}},
	} {
		if got := judge.Over(c.values); got != c.want {
			t.Errorf("of %v: %+v, want %+v", c.values, got, c.want)
		}
	}
}

func TestARatioToNothingIsNothing(t *testing.T) {
	t.Parallel()
	if got := judge.Ratio(3, 4); got != 0.75 {
		t.Errorf("3 by 4 is %v", got)
	}
	if got := judge.Ratio(3, 0); got != 0 {
		t.Errorf("3 by 0 is %v", got)
	}
}

func TestASlopeIsThatOfTheNearestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{nil, nil, 0},
		{[]float64{1}, []float64{5}, 0},
		{[]float64{2, 2}, []float64{1, 9}, 0},
		{[]float64{0, 1, 2}, []float64{7, 9, 11}, 2},
		{[]float64{0, 1, 2, 3}, []float64{1, 0, 1, 0}, -0.2},
	} {
		if got := judge.Slope(c.x, c.y); got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("slope of %v over %v is %v, want %v", c.y, c.x, got, c.want)
		}
	}
}
